"""The lean pool by a clock that is set by hand: deadlines, idle connections, renewal, an end that leaves nothing."""

import asyncio
from functools import partial

import pytest

from consumer.errors import UnreachableError
from consumer.pendo.lean.pool import GRAIN_S, MAX_AGE_S, _kept_s
from consumer.pendo.waist import KEEPALIVE_S, End, Response
from tests.support.scripted import passes
from tests.support.wires import WiredPool

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def _keeping(value: str) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: %b\r\n\r\n{}" % value.encode("latin-1")


async def _kinds(tasks: "list[asyncio.Future[Response]]") -> list[str | None]:
    """Of those that have ended; None for an answer."""
    await passes()
    ended = [task for task in tasks if task.done()]
    return [error.kind if isinstance(error := task.exception(), UnreachableError) else None for task in ended]


async def test_all_deadlines_share_one_timer_and_each_is_kept() -> None:
    """It fires about once in the time that a request may take, not once a request."""
    pool = WiredPool(timeout_s=30.0)
    tasks = []
    for _ in range(100):
        tasks.append(pool.ask())
        await passes()
        assert pool.clock.pending == 1
        pool.clock.move(0.1)
    pool.clock.move(30.0 - 100 * 0.1 - 0.05)
    assert await _kinds(tasks) == []
    for late in range(100):
        pool.clock.move(0.1)
        assert await _kinds(tasks) == ["timeout"] * (late + 1)
    assert all(wire.ended for wire, _ in pool.wires)
    assert (pool._connections, pool._idle, pool.clock.pending) == (set(), [], 0)


async def test_a_busy_pool_looks_at_its_timer_seldom() -> None:
    """Ten thousand requests in a minute, two of them at a time: a handful of looks."""
    pool = WiredPool(timeout_s=30.0)
    for _ in range(5000):
        tasks = [pool.ask(), pool.ask()]
        for _ in range(3):
            await asyncio.sleep(0)
        pool.clock.move(0.012)
        for _, connection in pool.wires:
            connection.data_received(_OK)
        await asyncio.gather(*tasks)
    assert len(pool.wires) == 2
    assert pool.clock.fired < 20
    pool.close()


async def test_a_timer_that_fires_a_moment_early_is_not_set_again_for_that_moment() -> None:
    """Those of uvloop have milliseconds: it would spin until the next."""
    pool = WiredPool()
    task = pool.ask()
    await passes()
    pool.clock.now += 30.0 - GRAIN_S / 2
    pool._look()
    assert await _kinds([task]) == ["timeout"]
    assert pool._timer is None


async def test_the_connection_that_was_used_last_is_used_next_and_the_others_go() -> None:
    """After a burst as many stay as are needed."""
    pool = WiredPool()
    tasks = [pool.ask() for _ in range(3)]
    await passes()
    for _, connection in pool.wires:
        connection.data_received(_OK)
    await asyncio.gather(*tasks)
    for _ in range(5):
        pool.clock.move(KEEPALIVE_S / 4)
        task = pool.ask()
        await passes()
        pool.wires[2][1].data_received(_OK)
        await task
    assert [wire.ended for wire, _ in pool.wires] == [True, True, False]
    pool.clock.move(KEEPALIVE_S + GRAIN_S)
    assert pool.wires[2][0].ended
    assert (pool._idle, pool.clock.pending) == ([], 0)


async def test_an_idle_connection_whose_time_has_passed_is_not_used() -> None:
    """Though the timer, on a loop that stood still, has not fired yet."""
    pool = WiredPool()
    for number in range(2):
        task = pool.ask()
        await passes()
        pool.wires[number][1].data_received(_OK)
        await task
        pool.clock.now += KEEPALIVE_S
    assert [wire.ended for wire, _ in pool.wires] == [True, False]
    pool.close()


async def test_what_an_answer_sends_goes_over_another_connection() -> None:
    """The end of its own may have been read with it: over TLS that is told only afterwards."""
    pool = WiredPool()
    ends: list[End] = []

    def send(end: End) -> None:
        ends.append(end)
        pool.exchange(b"POST", ends.append)

    pool.exchange(b"POST", send)
    await passes()
    pool.wires[0][1].data_received(_OK)
    pool.wires[0][1].eof_received()
    await passes()
    pool.wires[1][1].data_received(_OK)
    assert [end.status for end in ends if isinstance(end, Response)] == [200, 200]
    assert [(wire.written, wire.ended) for wire, _ in pool.wires] == [([b"POST"], True), ([b"POST"], False)]
    pool.close()


def _exchange_again(pool: WiredPool, ends: list[End], _: End) -> None:
    pool.exchange(b"AGAIN", ends.append)


async def test_a_request_that_follows_one_that_is_given_up_has_its_own_time() -> None:
    """Though the connection that serves it was to be let go of just then."""
    for _ in range(20):
        pool = WiredPool(timeout_s=KEEPALIVE_S)
        ends: list[End] = []
        pool.exchange(b"POST", partial(_exchange_again, pool, ends))
        other = pool.ask()
        await passes()
        pool.clock.now += GRAIN_S / 2
        pool.wires[1][1].data_received(_OK)
        await other
        pool.clock.now = 1000.0 + KEEPALIVE_S
        pool._look()
        await passes()
        # Over the one that stood idle, or over a new one where that was let go of first.
        assert [wire.ended for wire, _ in pool.wires if b"AGAIN" in wire.written] == [False]
        assert (ends, pool.wires[0][0].ended) == ([], True)
        pool.close()


async def test_a_connection_is_renewed_when_it_is_old() -> None:
    """However busy it is: between two requests, so that a name's new addresses are seen."""
    pool = WiredPool()
    while len(pool.wires) < 3:
        task = pool.ask()
        await passes()
        pool.wires[-1][1].data_received(_OK)
        await task
        pool.clock.move(KEEPALIVE_S / 2)
        assert pool.clock.now < 1000.0 + 3 * MAX_AGE_S
    assert [wire.ended for wire, _ in pool.wires] == [True, True, False]
    assert len(pool.wires[0][0].written) == MAX_AGE_S / (KEEPALIVE_S / 2) + 1
    pool.close()


@pytest.mark.parametrize(
    ("value", "kept_s"),
    [
        ("timeout=0", -1.0),
        ("timeout=1", 0.0),
        ("timeout=5", 4.0),
        ("max=99, Timeout=5", 4.0),
        (" timeout=5 ,max=99", 4.0),
        ("timeout=1000", KEEPALIVE_S),
        ("timeout=" + "9" * 5000, KEEPALIVE_S),
        ("timeout=-1", KEEPALIVE_S),
        ("timeout=\xb2", KEEPALIVE_S),
        ("timeout=", KEEPALIVE_S),
        ("timeout", KEEPALIVE_S),
        ("max=0", KEEPALIVE_S),
        ("", KEEPALIVE_S),
        (",,=,;", KEEPALIVE_S),
    ],
)
async def test_a_connection_is_kept_a_second_less_than_its_server_says(value: str, kept_s: float) -> None:
    """And never longer than without a word."""
    assert _kept_s(value) == kept_s
    pool = WiredPool()
    task = pool.ask()
    await passes()
    [(wire, connection)] = pool.wires
    connection.data_received(_keeping(value))
    await task
    pool.clock.move(max(kept_s - 0.1, 0.0))
    assert wire.ended is (kept_s <= 0)
    pool.clock.move(0.2)
    assert wire.ended
    pool.clock.move(30.0)
    assert (pool._idle, pool._connections, pool.clock.pending) == ([], set(), 0)


async def test_a_connection_that_is_gone_is_in_nobodys_way() -> None:
    """Idle or busy, however often it is said."""
    pool = WiredPool()
    tasks = [pool.ask(), pool.ask()]
    await passes()
    (_, idle), (_, busy) = pool.wires
    idle.data_received(_OK)
    for connection in (idle, busy):
        connection.connection_lost(ConnectionResetError())
        pool.on_gone(connection)
    assert sorted(str(kind) for kind in await _kinds(tasks)) == ["None", "connection"]
    assert (pool._idle, pool._connections) == ([], set())


async def test_a_request_whose_connection_broke_is_not_sent_again() -> None:
    """It may have arrived: whether it is repeated is for the lanes to judge."""
    pool = WiredPool()
    task = pool.ask()
    await passes()
    pool.wires[0][1].connection_lost(ConnectionResetError())
    assert await _kinds([task]) == ["connection"]
    assert [wire.written for wire, _ in pool.wires] == [[b"POST"]]


async def test_a_closed_pool_leaves_nothing() -> None:
    """No connection, no timer, nobody who waits."""
    pool = WiredPool()
    tasks = [pool.ask() for _ in range(3)]
    await passes()
    pool.wires[0][1].data_received(_OK)
    pool.close()
    assert await _kinds(tasks) == [None, "connection", "connection"]
    assert all(wire.ended for wire, _ in pool.wires)
    assert (pool._idle, pool._connections, pool.clock.pending) == ([], set(), 0)
