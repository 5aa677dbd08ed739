"""The Pendo simulator: an HTTP server of its own that answers as Pendo does, and misbehaves when it is told to.

Requests come in as a client of Pendo sends them; what they leave behind can be read back through Pendo's API, and
through `/_sim/` everything that Pendo would never tell (`simulator_control`). As a process:
`python -m consumer.sandbox.simulator --port 9000 --api-key KEY`; in a test: `async with Simulator() as pendo`.
It knows nothing of the service that it is there to test.
"""

import argparse
import asyncio
from dataclasses import dataclass
from typing import Any, Final, Self

import uvloop
from aiohttp import web

from consumer.sandbox.simulator_answers import Answers, facts_by_route, route_of
from consumer.sandbox.simulator_checks import Facts, RefusedError, decode
from consumer.sandbox.simulator_control import Control
from consumer.sandbox.simulator_faults import Answer, Faults, Latency
from consumer.sandbox.simulator_log import Entry, RequestLog, Status
from consumer.sandbox.simulator_store import Store
from consumer.sandbox.simulator_switches import Switches
from consumer.sandbox.simulator_wire import cut, faulty

# A test may send a list of thousands of rules; Pendo's own limit is checked apart.
_MAX_CONTROL_BYTES: Final = 256 * 1024 * 1024

# Many senders may connect at once.
_BACKLOG: Final = 1024

# What is still being answered when the simulator stops: a test does not wait for hung answers.
_SHUTDOWN_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How much is kept; counters always are.

    Attributes:
        entries: How many requests the log keeps; None for all.
        bodies: Whether it keeps their bodies.
        events: How many track events are kept; None for all. Likewise what calls wrote of single ids.
        message_ids: Whether it is kept how often each `messageId` was accepted.
    """

    entries: int | None = 200_000
    bodies: bool = True
    events: int | None = None
    message_ids: bool = True


# For long and fast runs, in which memory must stay flat.
LEAN: Final = Keep(entries=1000, bodies=False, events=1000, message_ids=False)


class Simulator:
    """Pendo, as far as its documentation says; as an async context manager it listens.

    Attributes:
        api_key: The one that the Segment endpoint accepts; may be changed at any time.
        track_event_secret: The one that the Track Events API accepts; likewise.
        integration_key: The one that the rest accepts; likewise.
        read_only_key: One that may only read.
        switches: What Pendo's documentation leaves open.
        faults: How it misbehaves.
        latency: How long every answer takes.
        store: What Pendo keeps.
        log: What it saw.
    """

    def __init__(
        self,
        *,
        api_key: str = "sandbox-api-key",
        track_event_secret: str = "sandbox-track-event-secret",  # noqa: S107 - of the sandbox
        integration_key: str = "sandbox-integration-key",
        read_only_key: str = "sandbox-read-only-key",
        switches: Switches | None = None,
        keep: Keep | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        keep = keep or Keep()
        self.api_key = api_key
        self.track_event_secret = track_event_secret
        self.integration_key = integration_key
        self.read_only_key = read_only_key
        self.switches = switches or Switches()
        self.faults = Faults()
        self.latency = Latency()
        self.store = Store(self.switches, max_events=keep.events, keep_message_ids=keep.message_ids)
        self.log = RequestLog(max_entries=keep.entries, keep_bodies=keep.bodies)
        self._answers = Answers(self, self.switches, self.store)
        self._control = Control(self)
        self._address = (host, port)
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"http://{self._address[0]}:{self._address[1]}"

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.stop()

    async def start(self) -> None:
        """Listen; after a `stop` again on the same port, with everything still kept."""
        # A client that goes takes its request out of flight: else its next one would look like an overlap.
        self._server = web.Server(
            self._handle, request_factory=_make_request, handler_cancellation=True, access_log=None
        )
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._server, *self._address, backlog=_BACKLOG)
        self._address = self._listener.sockets[0].getsockname()[:2]

    async def stop(self) -> None:
        """Stop listening and cut all connections."""
        if self._listener is not None and self._server is not None:
            self._listener.close()
            await self._server.shutdown(_SHUTDOWN_S)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, _ = request.raw_path.partition("?")
        body = await request.read()
        if path.startswith("/_sim/"):
            return self._control.answer(request, path, body)
        route, argument = route_of(path)
        content = decode(body) if body else None
        facts = facts_by_route(route, argument, content)
        entry = self.log.begin(route, request.method, facts, body)
        status: Status = "gone"
        try:
            status, response = await self._answer(request, entry, argument, content, facts)
        finally:
            self.log.end(entry, facts, status)
        return response

    async def _answer(
        self, request: web.BaseRequest, entry: Entry, argument: str, content: object, facts: Facts
    ) -> tuple[Status, web.Response]:
        """Answer as the faults say, else as Pendo would."""
        ids = (facts.visitor or argument, facts.account, *_ids_of(facts)) if self.faults else ()
        answer = self.faults.answer(entry.route, facts.message_id, ids)
        delay_s = self.latency.next_s() + (answer.delay_s if answer else 0.0)
        if delay_s:
            await asyncio.sleep(delay_s)
        if answer is None or answer.is_normal:
            return self._pendo(request, entry, argument, content, facts, answer)
        entry.why = "fault"
        if answer.applied:
            self._pendo(request, entry, argument, content, facts, None)
        if answer.hang:
            await asyncio.get_running_loop().create_future()
        if answer.reset:
            cut(request)
            return "reset", web.Response()
        response = faulty(answer)
        return response.status, response

    def _pendo(
        self,
        request: web.BaseRequest,
        entry: Entry,
        argument: str,
        content: object,
        facts: Facts,
        answer: Answer | None,
    ) -> tuple[Status, web.Response]:
        """Answer as Pendo would; a fault may fail at single ids, add headers, or choose another of the 2xx."""
        failures = self.faults.failures(entry.route, _ids_of(facts)) if self.faults and facts.lanes else {}
        try:
            response = self._answers.answer(request, entry, argument, content, failures)
        except RefusedError as refused:
            entry.why = str(refused)
            response = web.Response(status=refused.status, headers=refused.headers, text=refused.body)
            return response.status, response
        if answer is not None:
            response.headers.update(answer.headers)
            if answer.status is not None:
                response.set_status(answer.status)
        return response.status, response


def _ids_of(facts: Facts) -> list[str]:
    """Whom a call is about."""
    return [lane.partition(":")[2] for lane in facts.lanes]


def _make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:  # noqa: ANN401 - aiohttp's signature, private types
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_MAX_CONTROL_BYTES)


async def _serve(arguments: argparse.Namespace) -> None:
    keep = LEAN if arguments.lean else Keep()
    async with Simulator(
        api_key=arguments.api_key,
        track_event_secret=arguments.track_event_secret,
        integration_key=arguments.integration_key,
        keep=keep,
        host=arguments.host,
        port=arguments.port,
    ) as simulator:
        print(simulator.url, flush=True)
        await asyncio.get_running_loop().create_future()


def main() -> None:
    """Serve until the process is ended; the first line printed is the base URL."""
    parser = argparse.ArgumentParser(prog="python -m consumer.sandbox.simulator", description="The Pendo simulator.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks one (default)")
    parser.add_argument("--api-key", default="sandbox-api-key")
    parser.add_argument("--track-event-secret", default="sandbox-track-event-secret")
    parser.add_argument("--integration-key", default="sandbox-integration-key")
    parser.add_argument("--lean", action="store_true", help="keep little more than counters: for long, fast runs")
    try:
        uvloop.run(_serve(parser.parse_args()))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
