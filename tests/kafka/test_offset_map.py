"""The offset map: what finished beyond the watermark survives a restart, and nothing foreign is believed."""

import zlib
from base64 import b64decode, b64encode
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.kafka.offset_map import MAX_TEXT_BYTES, VERSION, decode, encode, without_runs, writer_of

TAG = b"a-writer"
OFFSETS = st.integers(0, 2**63 - 1)
RUNS = st.lists(st.tuples(st.integers(1, 500), st.integers(1, 10**6)), max_size=300).map(
    lambda pairs: [length for pair in pairs for length in pair]
)


@settings(deadline=None)
@given(base=OFFSETS, runs=RUNS, flags=st.integers(0, 255))
def test_what_is_encoded_comes_back(base: int, runs: list[int], flags: int) -> None:
    """As long as it fits, every run, the flags and the writer are read back."""
    found = decode(encode(base, runs, TAG, flags), base)
    assert found is not None
    assert (found.tag, found.flags) == (TAG, flags)
    assert list(found.runs) == runs[: len(found.runs)]


@settings(deadline=None)
@given(base=OFFSETS, seed=st.integers())
def test_a_map_never_outgrows_the_brokers_limit(base: int, seed: int) -> None:
    """Runs that do not fit are left out at the far end: they cost repeats, not the commit."""
    chance = Random(seed)
    runs = [chance.randrange(1, 10**6) if i % 2 else chance.randrange(1, 50) for i in range(6000)]
    text = encode(base, runs, TAG)
    assert len(text) <= MAX_TEXT_BYTES
    found = decode(text, base)
    assert found is not None
    assert len(found.runs) > 100
    assert len(found.runs) % 2 == 0
    assert list(found.runs) == runs[: len(found.runs)]


def test_a_map_is_never_longer_than_its_reader_believes() -> None:
    """A regular pattern packs so well that its text fits where what it unpacks to does not."""
    runs = [1, 1] * 40_000
    found = decode(encode(5, runs, TAG), 5)
    assert found is not None
    assert len(found.runs) > 40_000
    assert list(found.runs) == runs[: len(found.runs)]


@settings(deadline=None)
@given(metadata=st.one_of(st.text(max_size=60), st.binary(max_size=60).map(lambda b: b64encode(b).decode())))
def test_foreign_metadata_means_nothing_finished(metadata: str) -> None:
    """Other programs write what they like; none of it is an error."""
    assert decode(metadata, 5) is None


def test_a_map_for_another_offset_means_nothing_finished() -> None:
    """Somebody moved the group's offset and kept the metadata."""
    assert decode(encode(5, [1, 2], TAG), 6) is None


@settings(deadline=None)
@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_damaged_runs_are_never_believed(position: int, bit: int) -> None:
    """A flipped bit behind the header is noticed; but for a padding bit of zlib's, which changes nothing."""
    data = bytearray(b64decode(encode(7, [3, 9, 1, 4], TAG)))
    data[10 + position % (len(data) - 10)] ^= 1 << bit
    found = decode(b64encode(data).decode(), 7)
    assert found is None or found.runs == (3, 9, 1, 4)


def _packed(*numbers: int, version: int = VERSION) -> str:
    payload = b"".join(_varint(number) for number in numbers)
    return b64encode(bytes((version, 0)) + TAG + zlib.compress(payload)).decode()


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (_packed(5, 1, 2, version=VERSION + 1), "a later version may mean something else"),
        (_packed(5, 1), "runs come in pairs"),
        (_packed(5, 0, 3), "a run has a length"),
        (_packed(5, 1 << 40, 1), "more open offsets than fit into any memory"),
        (_packed(), "nothing in it"),
        (b64encode(bytes((VERSION, 0)) + TAG + zlib.compress(b"\xff" * 20)).decode(), "a number without an end"),
        (b64encode(bytes((VERSION, 0)) + TAG + zlib.compress(b"\x05") + b"more").decode(), "something behind it"),
        (b64encode(bytes((VERSION, 0)) + TAG + zlib.compress(b"\x01" * 200_000)).decode(), "unpacks without bound"),
    ],
)
def test_a_map_that_we_would_not_write_means_nothing_finished(text: str, why: str) -> None:
    """Each malformation is refused by itself."""
    assert decode(text, 5) is None, why


def test_our_own_packing_in_this_test_is_a_valid_map() -> None:
    """Else the cases above would pass for the wrong reason."""
    assert decode(_packed(5, 1, 2), 5) is not None


@settings(deadline=None)
@given(base=OFFSETS, runs=RUNS, flags=st.integers(0, 255))
def test_without_its_runs_a_map_still_tells_who_wrote_it_and_the_flags(base: int, runs: list[int], flags: int) -> None:
    """On a broker that takes little, a rebalance still finds its own commit, and a flood stop is not forgotten."""
    text = without_runs(encode(base, runs, TAG, flags), base)
    assert len(text) <= 44
    assert writer_of(text) == TAG
    found = decode(text, base)
    assert found is not None
    assert (found.flags, found.runs) == (flags, ())


@settings(deadline=None)
@given(base=OFFSETS, runs=RUNS, tag=st.binary(min_size=8, max_size=8))
def test_the_writer_is_read_whatever_the_offset(base: int, runs: list[int], tag: bytes) -> None:
    """Who committed last is asked of metadata alone."""
    assert writer_of(encode(base, runs, tag)) == tag


@settings(deadline=None)
@given(metadata=st.one_of(st.text(max_size=60), st.binary(max_size=9).map(lambda b: b64encode(b).decode())))
def test_foreign_metadata_has_no_writer_and_nothing_to_shorten(metadata: str) -> None:
    """Nobody's commit is never taken for our own."""
    assert writer_of(metadata) is None
    assert without_runs(metadata, 5) == ""


def test_a_later_version_has_no_writer() -> None:
    """Its header may mean something else."""
    assert writer_of(_packed(5, 1, 2, version=VERSION + 1)) is None
