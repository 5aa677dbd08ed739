"""The parent that a record's headers name: the standard's form and nothing else, and only when it is sampled."""

import pytest

from consumer.spans.traceparent import MAX_TRACESTATE_BYTES, Parent, sampled_parent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{SPAN}-01".encode()
PARENT = Parent(int(TRACE, 16), int(SPAN, 16), ())


def test_a_sampled_traceparent_is_a_parent() -> None:
    assert sampled_parent([("source", b"x"), ("traceparent", SAMPLED)]) == PARENT


@pytest.mark.parametrize("name", ["Traceparent", "TRACEPARENT", "TraceParent"])
def test_the_name_counts_in_any_case(name: str) -> None:
    """Bridges from HTTP write it as it came."""
    assert sampled_parent([(name, SAMPLED)]) == PARENT


@pytest.mark.parametrize("flags", ["01", "03", "05", "ff"])
def test_other_flags_beside_sampled_do_no_harm(flags: str) -> None:
    assert sampled_parent([("traceparent", f"00-{TRACE}-{SPAN}-{flags}".encode())]) == PARENT


@pytest.mark.parametrize("flags", ["00", "02", "fe"])
def test_what_is_not_sampled_is_no_parent(flags: str) -> None:
    assert sampled_parent([("traceparent", f"00-{TRACE}-{SPAN}-{flags}".encode())]) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"01",
        TRACE.encode(),
        SAMPLED[:-1],
        SAMPLED + b"0",
        SAMPLED + b"\n",
        b" " + SAMPLED,
        SAMPLED.upper(),
        SAMPLED.replace(b"a", b"g"),
        SAMPLED.replace(b"-", b"_"),
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE[:-1]}-{SPAN}-01".encode(),
        f"0-{TRACE}-{SPAN}-01".encode(),
        f"00-{TRACE}-{SPAN}-1".encode(),
        SAMPLED + b"-more",
        b"ff" + SAMPLED[2:],
        b"ff" + SAMPLED[2:] + b"-more",
        SAMPLED.replace(b"4", "\uff14".encode()),
        b"\xff\xfe" + SAMPLED,
    ],
)
def test_what_is_malformed_is_no_parent(value: bytes | None) -> None:
    """Capital letters, zeros alone, a wrong length, version ff, and more than version 00 has."""
    assert sampled_parent([("traceparent", value)]) is None


@pytest.mark.parametrize("more", [b"", b"-", b"-what-will-be", b"-\n\xff"])
def test_of_a_later_version_what_is_known_is_taken(more: bytes) -> None:
    """The standard asks for it: what comes after the flags is passed over."""
    assert sampled_parent([("traceparent", b"cc" + SAMPLED[2:] + more)]) == PARENT


def test_a_later_version_must_set_what_it_adds_apart() -> None:
    assert sampled_parent([("traceparent", b"cc" + SAMPLED[2:] + b".more")]) is None


def test_of_several_headers_the_last_counts() -> None:
    """As Kafka's own clients take the last; a relay that adds its own span puts it behind."""
    other = f"00-{TRACE}-{'b' * 16}-01".encode()
    assert sampled_parent([("traceparent", other), ("traceparent", SAMPLED)]) == PARENT
    assert sampled_parent([("traceparent", SAMPLED), ("traceparent", b"none")]) is None


def test_without_a_traceparent_a_tracestate_is_nothing() -> None:
    assert sampled_parent([("tracestate", b"a=1")]) is None
    assert sampled_parent([]) is None


@pytest.mark.parametrize(
    ("value", "members"),
    [
        (b"a=1", (("a", "1"),)),
        (b"congo=t61rcWkgMzE,rojo=00f067aa", (("congo", "t61rcWkgMzE"), ("rojo", "00f067aa"))),
        (b"a=1 ,\t b=2,,", (("a", "1"), ("b", "2"))),
        (b"1tenant@system=x y", (("1tenant@system", "x y"),)),
        (b"a=1,a=2", ()),
        (b"A=1", ()),
        (b"a", ()),
        (b"a=1,b", ()),
        (b"a=b=c", ()),
        ("a=é".encode(), ()),
        (b"a=" + b"x" * MAX_TRACESTATE_BYTES, ()),
        (b",".join(b"k%d=v" % number for number in range(33)), ()),
        (None, ()),
    ],
)
def test_a_tracestate_goes_on_whole_or_not_at_all(value: bytes | None, members: tuple[tuple[str, str], ...]) -> None:
    """A wrong one costs the tracestate, not the trace; and none of it comes into the log."""
    parent = sampled_parent([("traceparent", SAMPLED), ("tracestate", value)])
    assert parent == PARENT._replace(tracestate=members)
