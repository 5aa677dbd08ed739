"""The addresses of a name: when they are looked up, in which order they are used, and what counts while that fails."""

import asyncio
import socket
from functools import partial
from typing import Any

import pytest

from consumer.errors import UnreachableError
from consumer.pendo.lean import pool as pools
from consumer.pendo.lean.addresses import LOOKUP_TTL_S, Addresses
from consumer.pendo.lean.pool import Pool
from tests.support.awaited import response_to

pytestmark = pytest.mark.timeout(10)


class Resolver:
    """What the loop asks, and the loop's time.

    Attributes:
        asked: The flags of each lookup.
        answer: Addresses, or an error.
        now: Seconds.
        slow: Set when it may answer.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[int] = []
        self.answer: list[str] | Exception = ["a", "b", "c"]
        self.now = 1000.0
        self.slow = asyncio.Event()
        self.slow.set()
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "getaddrinfo", self.getaddrinfo)
        monkeypatch.setattr(loop, "time", lambda: self.now)

    async def getaddrinfo(self, _: str, port: int, *, type: int, flags: int) -> list[Any]:  # noqa: A002  # the loop's name
        """As the loop's."""
        assert type == socket.SOCK_STREAM
        self.asked.append(flags)
        await self.slow.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.answer]


@pytest.fixture
async def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """In place of the loop's."""
    return Resolver(monkeypatch)


async def _in_turn(addresses: Addresses) -> str:
    return "".join(address[0] for *_, address in await addresses.in_turn())


async def test_each_address_has_its_turn_and_the_others_stand_behind_it(resolver: Resolver) -> None:
    """The load is spread, and nobody is alone."""
    addresses = Addresses("several.example", 80)
    assert [await _in_turn(addresses) for _ in range(4)] == ["bca", "cab", "abc", "bca"]
    assert len(resolver.asked) == 1


async def test_a_name_is_looked_up_anew_when_its_time_is_over(resolver: Resolver) -> None:
    """And not before."""
    addresses = Addresses("several.example", 80)
    await addresses.in_turn()
    resolver.answer = ["d"]
    resolver.now += LOOKUP_TTL_S - 0.1
    assert await _in_turn(addresses) == "cab"
    resolver.now += 0.1
    assert await _in_turn(addresses) == "d"


async def test_what_was_known_counts_on_while_lookups_fail(resolver: Resolver) -> None:
    """And they are not repeated for each connection: one that is slow to fail would delay them all."""
    addresses = Addresses("several.example", 80)
    await addresses.in_turn()
    resolver.answer = socket.gaierror(socket.EAI_AGAIN, "")
    resolver.now += LOOKUP_TTL_S
    assert [await _in_turn(addresses) for _ in range(3)] == ["cab", "abc", "bca"]
    assert len(resolver.asked) == 2
    resolver.now += LOOKUP_TTL_S
    resolver.answer = ["d"]
    assert await _in_turn(addresses) == "d"


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_NONAME, ""), UnicodeError("label empty or too long")])
async def test_a_name_that_was_never_known_is_asked_for_again(resolver: Resolver, error: Exception) -> None:
    """By the next one who needs it."""
    addresses = Addresses("several.example", 80)
    resolver.answer = error
    for _ in range(2):
        with pytest.raises(type(error)):
            await addresses.in_turn()
    resolver.answer = ["d"]
    assert await _in_turn(addresses) == "d"
    assert len(resolver.asked) == 3


async def test_all_who_wait_share_one_lookup_and_nobody_ends_it_for_others(resolver: Resolver) -> None:
    """Two hundred senders begin at the same time."""
    addresses = Addresses("several.example", 80)
    resolver.slow.clear()
    waiting = [asyncio.create_task(_in_turn(addresses)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    resolver.slow.set()
    assert (await asyncio.gather(*waiting, return_exceptions=True))[1:] == ["bca", "cab", "abc", "bca"]
    assert len(resolver.asked) == 1


async def test_a_lookup_that_nobody_waits_for_any_more_fails_in_silence(resolver: Resolver) -> None:
    """An exception that nobody fetched would be in the log, and is a warning, which fails a test."""
    addresses = Addresses("several.example", 80)
    resolver.slow.clear()
    resolver.answer = OSError()
    waiting = asyncio.create_task(_in_turn(addresses))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    resolver.slow.set()
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("host", "flags"),
    [("several.example", socket.AI_ADDRCONFIG), ("localhost", socket.AI_ADDRCONFIG), ("::1", 0), ("127.0.0.1", 0)],
)
async def test_an_address_is_used_though_the_machine_has_no_other_of_its_family(
    resolver: Resolver, host: str, flags: int
) -> None:
    """Which AI_ADDRCONFIG asks for: a loopback's address does not count."""
    await Addresses(host, 80).in_turn()
    assert resolver.asked == [flags]


async def test_a_name_without_addresses_cannot_be_reached(resolver: Resolver) -> None:
    """Not that a resolver should say so."""
    resolver.answer = []
    with pytest.raises(UnreachableError, match=r"^ValueError$"):
        await response_to(partial(Pool("several.example", 80, None, 5.0).exchange, b""))


@pytest.mark.parametrize(
    "error",
    [OSError("a-secret-key"), RuntimeError("File descriptor 7 is used by transport"), IndexError(), ValueError()],
)
async def test_whatever_keeps_a_connection_from_being_made_is_our_own_error(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Another one would end the sender, and with it the service; its class is all that is told of it."""

    async def start_connection(*_: object, **__: object) -> socket.socket:
        assert resolver.asked
        raise error

    monkeypatch.setattr(pools, "start_connection", start_connection)
    with pytest.raises(UnreachableError, match=rf"^{type(error).__name__}$") as caught:
        await response_to(partial(Pool("several.example", 80, None, 5.0).exchange, b""))
    assert (caught.value.kind, caught.value.__cause__) == ("connection", None)
