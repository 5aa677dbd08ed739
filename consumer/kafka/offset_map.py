"""The offset map: what is finished beyond the watermark, as text in a commit's metadata.

Run lengths of open and finished offsets go in, at most `MAX_TEXT_BYTES` of ASCII come out, and the other way
round. It knows neither tickets nor the client.

    base64( version · flags · writer tag · zlib( varint(base) · varint(run) … ) )

Runs alternate and begin with an open one at `base`, the committed offset. What lies beyond the last run was not
finished. Metadata of another program, of a later version, damaged, or written for another offset decodes to None,
which means "nothing finished": it can cost repeats, never an event.
"""

import binascii
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

VERSION: Final = 1
TAG_BYTES: Final = 8
_HEADER_BYTES: Final = 2 + TAG_BYTES
MAX_TEXT_BYTES: Final = 4000
"""Brokers take 4096 bytes unless told otherwise (`offset.metadata.max.bytes`)."""
MAX_PAYLOAD_BYTES: Final = 1 << 16
"""A map that unpacks to more was not written by us: a guard against a zlib bomb."""
_MAX_VARINT_BYTES: Final = 10
_MAX_OPEN_OFFSETS: Final = 1 << 20
"""More open offsets than any process holds: a damaged length must not fill the memory."""
_SHRINK: Final = 0.9
"""Compression is not linear in the runs; each cut goes a little below what seems to fit."""


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
    header = bytes((VERSION, flags)) + tag
    kept = len(runs)
    while True:
        payload = _varints((base, *runs[:kept]))
        text = b64encode(header + zlib.compress(payload, 1))
        excess = max(len(text) / MAX_TEXT_BYTES, len(payload) / MAX_PAYLOAD_BYTES)
        if excess <= 1:
            return text.decode("ascii")
        kept = int(kept / excess * _SHRINK) // 2 * 2


def writer_of(metadata: str) -> bytes | None:
    """The tag of the process that wrote metadata text; None when it is not ours."""
    data = _unpacked(metadata)
    return None if data is None else data[2:_HEADER_BYTES]


def decode(metadata: str, base: int) -> OffsetMap | None:
    """Read metadata text back; None when it is not ours or not for this offset."""
    data = _unpacked(metadata)
    if data is None:
        return None
    numbers = _numbers(data[_HEADER_BYTES:])
    if not numbers or numbers[0] != base or len(numbers) % 2 == 0 or 0 in numbers[1:]:
        return None
    if sum(numbers[1::2]) > _MAX_OPEN_OFFSETS:
        return None
    return OffsetMap(tag=data[2:_HEADER_BYTES], flags=data[1], runs=tuple(numbers[1:]))


def without_runs(metadata: str, base: int) -> str:
    """The same text without its runs, for brokers that take little: who wrote it, and the flags."""
    data = _unpacked(metadata)
    return "" if data is None else encode(base, (), data[2:_HEADER_BYTES], data[1])


def _unpacked(metadata: str) -> bytes | None:
    try:
        data = b64decode(metadata.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
    return None if len(data) < _HEADER_BYTES or data[0] != VERSION else data


def _varints(numbers: Iterable[int]) -> bytes:
    out = bytearray()
    for number in numbers:
        rest = number
        while rest > 0x7F:  # noqa: PLR2004  # seven bits a byte, the eighth says "more follows"
            out.append(rest & 0x7F | 0x80)
            rest >>= 7
        out.append(rest)
    return bytes(out)


def _numbers(packed: bytes) -> list[int] | None:
    unpack = zlib.decompressobj()
    try:
        payload = unpack.decompress(packed, MAX_PAYLOAD_BYTES)
    except zlib.error:
        return None
    if not unpack.eof or unpack.unused_data:
        return None
    return _read_varints(payload)


def _read_varints(payload: bytes) -> list[int] | None:
    numbers: list[int] = []
    number = shift = 0
    for byte in payload:
        number |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
            if shift >= 7 * _MAX_VARINT_BYTES:
                return None
        else:
            numbers.append(number)
            number = shift = 0
    return None if shift else numbers
