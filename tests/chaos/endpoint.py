"""Pendo's side: a lean HTTP server that takes events, misbehaves when told to, and logs each request in a few bytes.

Like `consumer.sandbox.simulator`, but for speed and for a million requests: no framework, no body kept. Each process of
the service has a base URL of its own, `http://…/p7`, so that the log says who sent a request. As a process:
`python -m tests.chaos.endpoint --log FILE --seed N`; the first line printed is its base URL. It judges nothing but
poison, which it refuses.
"""

import argparse
import asyncio
import math
import random
import signal
from asyncio import Transport
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO, Any, Final, cast

import orjson
import uvloop

from tests.chaos.log import GONE, NO_MESSAGE, NOBODY, OK, RESET, FaultKind, Request
from tests.chaos.traffic import FOREIGN, POISON_EVENT, WRONG, N, canonical, fields_digest, message_number

_MEDIAN_S: Final = 0.05
_SIGMA: Final = 0.85
"""Lognormal: a p99 of seven times the median, 350 ms."""
_SLOW: Final = 12.0
_ERROR_SHARE: Final = 0.4
_RESET_SHARE: Final = 0.2
_THROTTLE_SHARE: Final = 0.3
_RETRY_AFTER_S: Final = 1
_REFUSED: Final = 400
_REASONS: Final = {200: "OK", 400: "Bad Request", 429: "Too Many Requests", 500: "Server Error", 503: "Unavailable"}


class Endpoint:
    """What all connections share.

    Attributes:
        faults: In force.
        chance: Decides which requests a fault hits; from 0 to 1.
        requests: How many have ended.
    """

    def __init__(self, log: IO[bytes], seed: int) -> None:
        self.faults: set[FaultKind] = set()
        self.requests = 0
        self._log = log
        self._random = random.Random(seed)
        self.chance: Callable[[], float] = self._random.random

    def write(self, request: Request) -> None:
        """Log a request that has ended."""
        self.requests += 1
        self._log.write(request.pack())

    def delay_s(self) -> float:
        """How long an answer takes."""
        delay_s = _MEDIAN_S * math.exp(self._random.gauss(0.0, _SIGMA))
        return delay_s * _SLOW if FaultKind.SLOW in self.faults else delay_s

    def status(self) -> tuple[int, bool]:
        """The status that a fault gives a request, 200 without; and whether Pendo keeps the event all the same."""
        chance = self.chance()
        faults = self.faults
        if FaultKind.OUTAGE in faults:
            return (503 if chance < 0.7 else RESET), False
        if FaultKind.ERRORS in faults and chance < _ERROR_SHARE:
            return 500, False
        if FaultKind.THROTTLE in faults and chance < _THROTTLE_SHARE:
            return 429, False
        if FaultKind.RESETS in faults and chance < _RESET_SHARE:
            # Half of them after the event was kept: an answer that got lost.
            return RESET, chance < _RESET_SHARE / 2
        return OK, True

    def control(self, body: bytes) -> bytes:
        """Put faults in force, those named in a JSON list; returns how many requests have ended."""
        self.faults = {FaultKind(name) for name in orjson.loads(body)}
        return orjson.dumps({"requests": self.requests})


class Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._buffer = bytearray()
        self._transport: Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._seen: _Seen | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast("Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it went does not matter
        """A request without an answer has none."""
        self._transport = None
        if self._timer is not None and self._seen is not None:
            self._timer.cancel()
            self._end(GONE, applied=False)

    def data_received(self, data: bytes) -> None:
        """Gather bytes until a request is complete."""
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = bytes(self._buffer[:head_end])
        length = _content_length(head)
        if len(self._buffer) < head_end + 4 + length:
            return
        body = bytes(self._buffer[head_end + 4 : head_end + 4 + length])
        del self._buffer[: head_end + 4 + length]
        path = head.split(b" ", 2)[1].decode()
        if path == "/_chaos/faults":
            self._write(200, self._endpoint.control(body))
        else:
            self._take(path, body)

    def _take(self, path: str, body: bytes) -> None:
        self._seen = _read(path, body)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._endpoint.delay_s(), self._answer)

    def _answer(self) -> None:
        status, applied = self._endpoint.status()
        seen = self._seen
        if seen is not None and applied and seen.refused_whole:
            status, applied = _REFUSED, False
        self._end(status, applied=applied)
        if self._transport is None or seen is None:
            return
        if status == RESET:
            self._transport.abort()
        else:
            self._write(status, seen.answer if status == OK else b"")

    def _end(self, status: int, *, applied: bool) -> None:
        seen, self._seen, self._timer = self._seen, None, None
        if seen is None:
            return
        ended_s = monotonic()
        for row in seen.rows:
            refused = row["message"] in seen.refused
            self._endpoint.write(
                Request(
                    status=_REFUSED if refused and status == OK else status,
                    ended_s=ended_s,
                    applied=applied and not refused,
                    sender=seen.sender,
                    arrived_s=seen.arrived_s,
                    **row,
                )
            )

    def _write(self, status: int, body: bytes) -> None:
        if self._transport is not None:
            after = f"Retry-After: {_RETRY_AFTER_S}\r\n" if status == 429 else ""
            head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Length: {len(body)}\r\n{after}\r\n"
            self._transport.write(head.encode() + body)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A request, as far as the log keeps it.

    Attributes:
        sender: Which process sent it.
        arrived_s: Monotonic clock.
        rows: For each message that it carries what the log keeps of it.
        refused_whole: Whether Pendo refuses all of it.
        refused: Messages that Pendo refuses, of a call that it takes.
        answer: The body of the answer, when it is taken.
    """

    sender: int
    arrived_s: float
    rows: list[dict[str, Any]]
    refused_whole: bool = False
    refused: frozenset[int] = frozenset()
    answer: bytes = b""


def _read(path: str, body: bytes) -> _Seen:
    """Read a request; a body that is none of ours has a message that nobody sent."""
    arrived_s = monotonic()
    first, _, rest = path[1:].partition("/")
    sender = int(first[1:]) if first[:1] == "p" and first[1:].isdigit() else NOBODY
    try:
        content = orjson.loads(body)
        if rest.startswith("api/v1/metadata/"):
            return _read_call(content, rest.split("/")[3], sender, arrived_s)
        read = _read_track if rest == "data/track" else _read_event
        rows, poison = [read(content)], content.get("event") == POISON_EVENT
    except (ValueError, KeyError, AttributeError, TypeError):
        rows, poison = [_row(None)], False
    return _Seen(sender=sender, arrived_s=arrived_s, rows=rows, refused_whole=poison)


def _row(message: int | None, digest: int = 0, mask: int = 0, fields: int = 0) -> dict[str, Any]:
    return {"message": NO_MESSAGE if message is None else message, "digest": digest, "mask": mask, "fields": fields}


def _read_event(event: dict[str, Any]) -> dict[str, Any]:
    """Of the Segment endpoint."""
    message = message_number(event["messageId"])
    traits = event.pop("traits", None) if event["type"] in {"identify", "group"} else None
    return _row(message, canonical(event), *fields_digest(traits or {}))


def _read_track(event: dict[str, Any]) -> dict[str, Any]:
    """Of the Track Events API."""
    return _row(event["properties"][N], canonical(event))


def _read_call(elements: list[dict[str, Any]], kind: str, sender: int, arrived_s: float) -> _Seen:
    """Of the Metadata API: each value tells which message it is from; together they may be several messages'."""
    rows: list[dict[str, Any]] = []
    errors: list[str] = []
    refused: set[int] = set()
    for element in elements:
        by_message: dict[int, dict[str, str]] = {}
        for name, value in element["values"].items():
            by_message.setdefault(int(value.rpartition("-")[2]), {})[name] = value
        wrong = WRONG in element["values"]
        for message, values in by_message.items():
            rows.append(_row(message, 0, *fields_digest(values)))
            if wrong:
                refused.add(message)
        if wrong:
            errors.append(element[f"{kind}Id"])
    answer = {"total": len(elements), "updated": len(elements) - len(errors), "failed": len(errors)}
    listed = orjson.dumps(answer | {"errors": [{"id": id_} for id_ in errors]} if errors else answer)
    whole = any(row["mask"] & FOREIGN and row["message"] % 2 for row in rows)
    return _Seen(
        sender=sender,
        arrived_s=arrived_s,
        rows=rows,
        refused_whole=whole,
        refused=frozenset(refused),
        answer=listed,
    )


async def _serve(path: Path, seed: int) -> None:
    with path.open("wb") as log:
        endpoint = Endpoint(log, seed)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(endpoint), "127.0.0.1", 0, backlog=1024)
        stopped = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
        host, port = server.sockets[0].getsockname()
        print(f"http://{host}:{port}", flush=True)  # noqa: T201 - whoever started it reads it
        await stopped.wait()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.endpoint", description="A Pendo for chaos runs.")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    uvloop.run(_serve(arguments.log, arguments.seed))


if __name__ == "__main__":
    main()
