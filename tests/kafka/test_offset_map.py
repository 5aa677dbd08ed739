"""The offset map: what finished beyond the watermark survives a restart, and nothing foreign is believed."""

from base64 import b64decode, b64encode
from random import Random
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.kafka.offset_map import MAX_TEXT_BYTES, VERSION, decode, encode, fullness, without_runs, writer_of

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
    runs = [chance.randrange(1, 10**3) if i % 2 else chance.randrange(1, 50) for i in range(6000)]
    text = encode(base, runs, TAG)
    assert len(text) <= MAX_TEXT_BYTES
    found = decode(text, base)
    assert found is not None
    assert len(found.runs) > 100
    assert len(found.runs) % 2 == 0
    assert list(found.runs) == runs[: len(found.runs)]


@settings(deadline=None, max_examples=60)
@given(
    open_=st.integers(1, 12_000),
    finished=st.integers(1, 30_000),
    seed=st.integers(),
    clusters=st.sampled_from([1, 3, 50, 1000]),
)
def test_a_map_takes_no_more_than_was_said_beforehand(open_: int, finished: int, seed: int, clusters: int) -> None:
    """However open and finished offsets lie, apart or in clusters, and however the open ones end: all of it fits."""
    chance = Random(seed)
    runs = _spread(chance, open_, finished, clusters)
    if fullness(sum(runs[::2]), sum(runs[1::2])) > 1:
        return
    for _ in range(4):
        text = encode(1 << 40, runs, TAG)
        found = decode(text, 1 << 40)
        assert found is not None
        assert list(found.runs) == runs
        runs = _finish_some(chance, runs)
        if not runs:
            return


def _spread(chance: Random, open_: int, finished: int, clusters: int) -> list[int]:
    """So many of both in random order, those of a cluster side by side."""
    kinds = [0] * (open_ // clusters) + [1] * (finished // clusters)
    chance.shuffle(kinds)
    return _runs([kind for kind in [0, *kinds, 1] for _ in range(clusters)])


def _finish_some(chance: Random, runs: list[int]) -> list[int]:
    kinds = [index % 2 for index, length in enumerate(runs) for _ in range(length)]
    later = [kind or int(chance.random() < 0.3) for kind in kinds]
    return _runs(later[later.index(0) :]) if 0 in later else []


def _runs(kinds: list[int]) -> list[int]:
    runs: list[int] = []
    last = -1
    for kind in kinds:
        if kind == last:
            runs[-1] += 1
        else:
            runs.append(1)
        last = kind
    return runs


def test_what_a_buffer_holds_fits_into_a_map() -> None:
    """A third of the default buffer open, three times as much finished beyond; or all of it, a few of them finished."""
    assert fullness(6_600, 20_000) < 1
    assert fullness(20_000, 3_000) < 1
    assert fullness(1, 10**12) < 0.01
    assert fullness(20_000, 20_000) > 1


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
    """A flipped bit is noticed, wherever it is: to believe it would be to lose an event."""
    data = bytearray(b64decode(encode(7, [3, 9, 1, 4], TAG)))
    data[position % len(data)] ^= 1 << bit
    assert decode(b64encode(data).decode(), 7) is None


def _map(body: bytes, version: int = VERSION) -> str:
    """A map for offset 5."""
    data = bytes((version, 0)) + TAG + body
    return b64encode(data + crc32(data).to_bytes(4, "big")).decode()


BASE, TELLS_FINISHED, TELLS_OPEN = b"\x05", b"\x00", b"\x01"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (_map(BASE + TELLS_FINISHED + b"\x01\x80", VERSION + 1), "another version may mean something else"),
        (_map(b""), "nothing in it"),
        (_map(b"\xff" * 20), "a number without an end"),
        (_map(BASE + TELLS_FINISHED), "no count"),
        (_map(BASE + TELLS_FINISHED + b"\x01"), "no gap"),
        (_map(BASE + TELLS_FINISHED + b"\x00\x80"), "gaps that are not counted"),
        (_map(BASE + TELLS_FINISHED + b"\x09\x80"), "more gaps than there are bits"),
        (_map(BASE + TELLS_FINISHED + b"\x01\xff"), "a gap without an end"),
        (_map(BASE + TELLS_FINISHED + b"\x01\x00"), "it begins with a finished run"),
        (_map(BASE + TELLS_FINISHED + b"\x01\x80\x00"), "something behind it"),
        (_map(BASE + TELLS_FINISHED + b"\x01\x81"), "padding that says something"),
        (_map(BASE + TELLS_OPEN + b"\x02\x80"), "it begins with a finished run, or ends with an open one"),
        (_map(BASE + TELLS_OPEN + b"\x02\x00"), "it ends with an open run"),
        (_map(BASE + TELLS_OPEN + b"\x01\x00"), "open, and nothing finished"),
        (_map(BASE + bytes((30 << 1,)) + b"\x01\x80\x00\x00\x00"), "more open offsets than fit into any memory"),
        (_map(BASE + bytes((60 << 1,)) + b"\x01" + bytes(9)), "wider than a log is long"),
    ],
)
def test_a_map_that_we_would_not_write_means_nothing_finished(text: str, why: str) -> None:
    """Each malformation is refused by itself."""
    assert decode(text, 5) is None, why


@pytest.mark.parametrize(
    ("body", "runs"),
    [
        (BASE, ()),
        (BASE + TELLS_FINISHED + b"\x01\x80", (1, 1)),
        (BASE + TELLS_OPEN + b"\x02\x40", (1, 1)),
        (BASE + TELLS_FINISHED + b"\x02\xc0", (2, 2)),
        (BASE + bytes((2 << 1,)) + b"\x01\xb0", (7, 1)),
    ],
)
def test_our_own_packing_in_this_test_is_a_valid_map(body: bytes, runs: tuple[int, ...]) -> None:
    """Else the cases above would pass for the wrong reason; and these bytes are the format."""
    found = decode(_map(body), 5)
    assert found is not None
    assert found.runs == runs


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
    assert writer_of(_map(BASE, VERSION + 1)) is None
