"""The offset map: what is finished beyond the watermark, as text in a commit's metadata.

Run lengths of open and finished offsets go in, at most `MAX_TEXT_BYTES` of ASCII come out, and the other way
round. It knows neither tickets nor the client.

    base64( version · flags · writer tag · varint(base) · shape · varint(gaps) · gap … · CRC-32 )

Runs alternate and begin with an open one at `base`, the committed offset. Whichever there are fewer of, open offsets or
finished ones, are told one by one: by the gap before each, how many of the others lie there; where open ones are told
a last gap ends the map. `shape` is twice the width of a gap's low part, and one more where open ones are told. Gaps
are Rice codes: the high part as ones with a zero behind, then the low part's bits. What such a map can
take at the most follows from how many offsets are open and finished, however they are spread (`fullness`), so that
reading can stop while it still fits. What lies beyond the last run was not finished. Metadata of another program, of
another version, damaged, or written for another offset decodes to None, which means "nothing finished": it can cost
repeats, never an event.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import log2
from typing import Final
from zlib import crc32

VERSION: Final = 2
TAG_BYTES: Final = 8
_HEADER_BYTES: Final = 2 + TAG_BYTES
MAX_TEXT_BYTES: Final = 4000
"""Brokers take 4096 bytes unless told otherwise (`offset.metadata.max.bytes`)."""
_CHECK_BYTES: Final = 4
_MAX_VARINT_BYTES: Final = 10
_MAX_COUNT_BYTES: Final = 3
"""Of a varint that counts gaps: each takes a bit at least."""
_REST_BYTES: Final = _HEADER_BYTES + _MAX_VARINT_BYTES + 1 + _MAX_COUNT_BYTES + _CHECK_BYTES
_CAPACITY_BITS: Final = 8 * (MAX_TEXT_BYTES * 3 // 4 - _REST_BYTES)
_MAX_WIDTH: Final = 40
"""Bits of a gap's low part; a log has not so many offsets that more would be of use."""
_MAX_OPEN_OFFSETS: Final = 1 << 20
"""More open offsets than any process holds: a damaged length must not fill the memory."""
_SHRINK: Final = 0.9
"""Runs differ in what they take; each cut goes a little below what seems to fit."""


@dataclass(frozen=True, slots=True)
class OffsetMap:
    """A decoded map.

    Attributes:
        tag: Which process wrote it.
        flags: Eight bits for states that travel with the commit.
        runs: Lengths of open and finished runs in turn, from the committed offset on.
    """

    tag: bytes
    flags: int
    runs: tuple[int, ...]


def encode(base: int, runs: Sequence[int], tag: bytes, flags: int = 0) -> str:
    """Turn runs into metadata text.

    Args:
        base: The committed offset.
        runs: Open and finished lengths in turn, beginning with an open run, ending with a finished one.
        tag: `TAG_BYTES` random bytes of this process.
        flags: 0 … 255.

    Returns:
        At most `MAX_TEXT_BYTES` of ASCII; runs at the far end that do not fit are left out.
    """
    header = bytes((VERSION, flags)) + tag + _varint(base)
    kept = len(runs)
    while True:
        data = header + _packed(runs[:kept])
        text = b64encode(data + crc32(data).to_bytes(_CHECK_BYTES, "big"))
        if len(text) <= MAX_TEXT_BYTES:
            return text.decode("ascii")
        kept = int(kept * MAX_TEXT_BYTES / len(text) * _SHRINK) // 2 * 2


def fullness(open_: int, finished: int) -> float:
    """The part of a map's room that so many offsets take at the most, now or when more of the open ones are finished.

    Args:
        open_: Open offsets, from the watermark on.
        finished: Finished ones between the watermark and the last that was read.
    """
    if open_ >= finished:
        # A bit for each offset: what it comes to when half of them are finished.
        return (open_ + finished + 1) / _CAPACITY_BITS
    return _bits(open_ + 1, finished, _width(open_ + 1, finished)) / _CAPACITY_BITS


def writer_of(metadata: str) -> bytes | None:
    """The tag of the process that wrote metadata text; None when it is not ours."""
    data = _unpacked(metadata)
    return None if data is None else data[2:_HEADER_BYTES]


def decode(metadata: str, base: int) -> OffsetMap | None:
    """Read metadata text back; None when it is not ours or not for this offset."""
    data = _unpacked(metadata)
    if data is None:
        return None
    written_for, rest = _read_varint(data[_HEADER_BYTES:])
    if written_for != base:
        return None
    runs = _unpacked_runs(rest)
    if runs is None or sum(runs[::2]) > _MAX_OPEN_OFFSETS:
        return None
    return OffsetMap(tag=data[2:_HEADER_BYTES], flags=data[1], runs=runs)


def without_runs(metadata: str, base: int) -> str:
    """The same text without its runs, for brokers that take little: who wrote it, and the flags."""
    data = _unpacked(metadata)
    return "" if data is None else encode(base, (), data[2:_HEADER_BYTES], data[1])


def _unpacked(metadata: str) -> bytes | None:
    try:
        checked = b64decode(metadata.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    data, check = checked[:-_CHECK_BYTES], checked[-_CHECK_BYTES:]
    if len(data) < _HEADER_BYTES or data[0] != VERSION or crc32(data).to_bytes(_CHECK_BYTES, "big") != check:
        return None
    return data


def _packed(runs: Sequence[int]) -> bytes:
    if not runs:
        return b""
    open_, finished = sum(runs[::2]), sum(runs[1::2])
    tells_open = open_ < finished
    gaps = list(_gaps(runs, tells_open=tells_open))
    width = _width(len(gaps), finished if tells_open else open_)
    bits = _rice(gaps, width)
    size = -(-len(bits) // 8)
    shape = bytes((width << 1 | tells_open,))
    return shape + _varint(len(gaps)) + int(bits.ljust(8 * size, "0"), 2).to_bytes(size, "big")


def _gaps(runs: Sequence[int], *, tells_open: bool) -> Iterator[int]:
    """How many of the others lie before each offset that is told; behind the last open one those that end the map."""
    if tells_open:
        before = 0
        for open_, finished in zip(runs[::2], runs[1::2], strict=True):
            yield before
            yield from (0,) * (open_ - 1)
            before = finished
        yield before
        return
    for open_, finished in zip(runs[::2], runs[1::2], strict=True):
        yield open_
        yield from (0,) * (finished - 1)


def _rice(gaps: Sequence[int], width: int) -> str:
    """Rice codes as a text of ones and zeros."""
    codes = {gap: "1" * (gap >> width) + "0" + _low(gap, width) for gap in set(gaps)}
    return "".join(map(codes.__getitem__, gaps))


def _low(gap: int, width: int) -> str:
    return f"{gap & (1 << width) - 1:0{width}b}" if width else ""


def _width(gaps: int, others: int) -> int:
    """The width of gaps' low parts with which so many take least room, whatever each gap is."""
    near = int(log2(others / gaps)) if others > gaps else 0
    return min(range(max(0, near - 1), min(near + 1, _MAX_WIDTH) + 1), key=lambda width: _bits(gaps, others, width))


def _bits(gaps: int, others: int, width: int) -> int:
    """What so many gaps take at the most, with so many others in all."""
    return gaps * (1 + width) + (others >> width)


def _unpacked_runs(data: bytes) -> tuple[int, ...] | None:
    if not data:
        return ()
    width, tells_open = data[0] >> 1, bool(data[0] & 1)
    count, packed = _read_varint(data[1:])
    if count is None or not packed or count > 8 * len(packed) or width > _MAX_WIDTH:
        return None
    gaps = _read_rice(f"{int.from_bytes(packed, 'big'):0{8 * len(packed)}b}", width, count)
    return None if gaps is None else _runs(gaps, tells_open=tells_open)


def _read_rice(bits: str, width: int, count: int) -> list[int] | None:
    """So many gaps, and nothing behind them but the last byte's padding; None when it is not so."""
    gaps: list[int] = []
    begin = 0
    for _ in range(count):
        zero = bits.find("0", begin)
        end = zero + 1 + width
        if zero < 0 or end > len(bits):
            return None
        low = int(bits[zero + 1 : end], 2) if width else 0
        gaps.append((zero - begin) << width | low)
        begin = end
    return None if len(bits) - begin >= 8 or "1" in bits[begin:] else gaps  # noqa: PLR2004  # bits of a byte


def _runs(gaps: Sequence[int], *, tells_open: bool) -> tuple[int, ...] | None:
    """Open and finished lengths in turn; None when they do not begin with an open one and end with a finished one."""
    runs: list[int] = []
    if tells_open:
        first, *between = gaps
        told = chain.from_iterable((1, gap) for gap in between)
        if first or not between or not between[-1]:
            return None
    else:
        told = chain.from_iterable((gap, 1) for gap in gaps)
        if not gaps[0]:
            return None
    for index, length in enumerate(told):
        if not length:
            continue
        if len(runs) % 2 == index % 2:
            runs.append(length)
        else:
            runs[-1] += length
    return tuple(runs)


def _varint(number: int) -> bytes:
    out = bytearray()
    rest = number
    while rest > 0x7F:  # noqa: PLR2004  # seven bits a byte, the eighth says "more follows"
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _read_varint(data: bytes) -> tuple[int | None, bytes]:
    """A number and what lies behind it; None when none ends here."""
    number = 0
    for index, byte in enumerate(data[:_MAX_VARINT_BYTES]):
        number |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return number, data[index + 1 :]
    return None, b""
