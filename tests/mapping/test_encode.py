"""JSON text of decoded JSON: what it costs to hold."""

import tracemalloc

from consumer.mapping.encode import encode

REQUESTS = 1000


def test_a_body_takes_no_more_memory_than_its_bytes() -> None:
    """Requests wait by the thousand, and the bound on open bytes counts what they say they hold."""
    fields = {"type": "track", "properties": {f"key {n}": "value" for n in range(20)}}
    tracemalloc.start()
    try:
        bodies = [encode({**fields, "n": n}) for n in range(REQUESTS)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1.5 * sum(map(len, bodies))
