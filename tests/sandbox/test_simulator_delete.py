"""What the simulated bulk deletion leaves, how fast it may be asked, and how requests are paced at all."""

import asyncio
from typing import Any

import pytest

from consumer.sandbox.simulator_faults import Answer, Rule
from consumer.sandbox.simulator_pace import Pace, retry_after
from tests.sandbox.calls import CREATE, Caller, switched

DELETE = "bulkdelete/visitor"


def track(user: str) -> dict[str, Any]:
    return {"type": "track", "event": "Ran", "userId": user, "properties": {"groupId": "acme"}}


async def test_a_deleted_visitor_takes_its_track_events_along(caller: Caller) -> None:
    """Others keep theirs; who comes anew has none of them."""
    await caller.segment(track("a"))
    await caller.segment(track("b"))
    await caller.post(DELETE, {"visitors": ["a"]})
    await caller.write("a")
    shown = {id_: await caller.ask("GET", f"view/visitor/{id_}") for id_ in "ab"}
    assert [len(shown[id_]["events"]) for id_ in "ab"] == [0, 1]
    assert shown["a"]["accounts"] == []


async def test_a_deleted_account_is_no_visitors_any_more(caller: Caller) -> None:
    """Its visitors stay."""
    await caller.segment(track("a"))
    await caller.segment({"type": "group", "userId": "a", "groupId": "other"})
    await caller.post("bulkdelete/account", {"accounts": ["acme"]})
    assert (await caller.get("account/acme"))[0] == 404
    assert caller.pendo.store.visitors["a"].accounts == ["other"]


async def test_the_log_and_the_store_tell_who_was_deleted(caller: Caller) -> None:
    """Whether Pendo knew them or not; numbers are turned into text."""
    await caller.post(DELETE, {"visitors": ["a", 7]})
    [entry] = caller.pendo.log
    assert (entry.route, entry.lanes) == ("bulkdelete", ("visitor:a", "visitor:7"))
    assert entry.outcomes == {"a": "deleted", "7": "deleted"}
    assert caller.pendo.store.deleted == {"visitor:a": 1, "visitor:7": 1}


async def test_a_fault_may_keep_one_id_from_being_deleted(caller: Caller) -> None:
    """The answer does not say so: nothing is documented."""
    await caller.write("a", "b")
    caller.pendo.faults.add(Rule(id="b", route="bulkdelete", answer=Answer(fail="untold")))
    assert (await caller.post(DELETE, {"visitors": ["a", "b"]}))[0] == 200
    assert list(caller.pendo.store.visitors) == ["b"]
    assert caller.pendo.log.outcomes("visitor:b") == [(200, "updated"), (200, "untold")]


async def test_a_fault_about_an_id_meets_deletions_too(caller: Caller) -> None:
    """With what was done all the same, when the answer says otherwise."""
    caller.pendo.faults.add(Rule(id="b", script=[Answer(status=400), Answer(status=500, applied=True)]))
    statuses = [(await caller.post(DELETE, {"visitors": ["a", "b"]}))[0] for _ in range(2)]
    assert statuses == [400, 500]
    assert caller.pendo.store.deleted == {"visitor:a": 1, "visitor:b": 1}


@switched(delete_at_once=False, delete_status=202)
async def test_what_comes_before_a_late_deletion_is_done_goes_with_it(caller: Caller) -> None:
    """What comes after it stays."""
    await caller.write("a", plan="pro")
    assert (await caller.post(DELETE, {"visitors": ["a"]}))[0] == 202
    await caller.write("a", seats=1)
    assert caller.pendo.store.deletions == [("visitor", "a")]
    assert caller.pendo.store.run_deletions() == 1
    await caller.write("a", tier=2)
    assert caller.pendo.store.visitors["a"].agent == {"tier": 2}
    assert caller.pendo.store.run_deletions() == 0


@switched(delete_per_s=4)
async def test_who_keeps_to_retry_after_is_taken(caller: Caller) -> None:
    """Whole seconds, never none; deletions do not hold other routes up."""
    answers = [(await caller.post(DELETE, {"visitors": ["a"]}))[0] for _ in range(5)]
    assert answers == [200] * 4 + [429]
    assert caller.retry_after == "1"
    assert (await caller.write("a"))[0] == 200
    await asyncio.sleep(1)
    assert (await caller.post(DELETE, {"visitors": ["a"]}))[0] == 200


@switched(requests_per_s=2)
async def test_a_rate_holds_for_all_routes_together(caller: Caller) -> None:
    """Asking the simulator itself costs nothing."""
    await caller.ask("GET", "counts")
    statuses = [(await caller.write("a"))[0], (await caller.get("visitor/a"))[0]]
    assert statuses == [200, 200]
    assert (await caller.post(DELETE, {"visitors": ["a"]}))[0] == 429
    assert caller.retry_after == "1"
    assert "a" in caller.pendo.store.visitors


@pytest.mark.parametrize(("per_s", "most", "window_s"), [(1, 1, 1), (5, 5, 1), (0.5, 1, 2), (2.5, 2, 0.8)])
def test_no_second_has_more_than_its_rate_whenever_it_begins(per_s: float, most: int, window_s: float) -> None:
    """Asked every millisecond for four windows; what was not taken does not count."""
    pace = Pace(per_s)
    taken = [at_s for ms in range(int(window_s * 4000)) if not pace.wait_s(at_s := ms / 1000)]
    assert len(taken) == pytest.approx(4 * most, abs=most)
    gaps = [late - early for early, late in zip(taken, taken[most:], strict=False)]
    assert min(gaps) >= window_s - 1e-9


def test_waiting_as_long_as_it_says_is_enough() -> None:
    """The header says so in whole seconds, rounded up."""
    pace = Pace(2)
    assert [pace.wait_s(at_s) for at_s in (0.0, 0.75, 0.8)] == [0.0, 0.0, pytest.approx(0.2)]
    assert pace.wait_s(1.0) == 0.0
    assert retry_after(0.2) == {"Retry-After": "1"}


def test_without_a_rate_nobody_waits() -> None:
    """However many come at once."""
    pace = Pace(None)
    assert not any(pace.wait_s(0.0) for _ in range(1000))


async def test_a_deletion_of_what_is_not_there_is_taken(caller: Caller) -> None:
    """It is asynchronous: nobody can have looked yet."""
    assert (await caller.post(DELETE, {"visitors": ["nobody"]}))[0] == 200
    assert (await caller.write("nobody", where=f"visitor/{CREATE}"))[1]["updated"] == 1
