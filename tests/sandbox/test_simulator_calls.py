"""The simulated Metadata API and bulk deletion: each rule as Pendo documents it, and what is left to a switch."""

from typing import Any

import pytest

from consumer.sandbox.simulator_checks import MAX_BODY_BYTES
from consumer.sandbox.simulator_delete import MAX_IDS
from consumer.sandbox.simulator_faults import Answer, FaultError, Rule
from consumer.sandbox.simulator_switches import Switches
from tests.sandbox.calls import CREATE, Caller, switched


@pytest.mark.parametrize("kind", ["visitor", "account"])
async def test_a_call_writes_fields_of_each_id(caller: Caller, kind: str) -> None:
    """Last write wins; fields of agent are made on write, names lower-cased, objects and nulls ignored."""
    where = f"{kind}/{CREATE}"
    assert await caller.write("a", "b", where=where, Plan="free", tags=["x", {"y": 1}], no=None, odd={"z": 1}) == (
        200,
        {"total": 2, "updated": 2, "failed": 0},
    )
    await caller.write("b", where=where, plan="pro", **{"300": True})
    status, found = await caller.get(f"{kind}/b")
    assert (status, found["metadata"]["agent"]) == (200, {"plan": "pro", "tags": ["x"], "_300": True})
    _, found = await caller.get(f"{kind}/a")
    assert found["metadata"]["agent"] == {"plan": "free", "tags": ["x"]}


async def test_unknown_ids_are_missing_unless_they_are_to_be_created(caller: Caller) -> None:
    """The 200 hides it; either list may be absent."""
    await caller.write("known")
    assert await caller.write("known", "unknown", where="visitor/agent/value") == (
        200,
        {"total": 2, "updated": 1, "failed": 1, "missing": ["unknown"]},
    )
    assert "unknown" not in caller.pendo.store.visitors


@switched(empty_lists=True)
async def test_empty_lists_may_be_there(caller: Caller) -> None:
    """Both ways are seen."""
    assert (await caller.write("a"))[1] == {"total": 1, "updated": 1, "failed": 0, "missing": [], "errors": []}


@switched(list_failures=False)
async def test_failures_may_be_counted_and_not_named(caller: Caller) -> None:
    """Then nothing tells which they were."""
    assert (await caller.write("a", where="visitor/agent/value"))[1] == {"total": 1, "updated": 0, "failed": 1}


async def test_custom_fields_must_exist(caller: Caller) -> None:
    """Somebody makes them at Pendo; agent fields need nobody."""
    where = "visitor/custom/value?create=true"
    assert (await caller.write("a", where=where, Tier=1))[1] == {
        "total": 1,
        "updated": 0,
        "failed": 1,
        "errors": [{"id": "a"}],
    }
    caller.pendo.store.custom_fields["visitor"].add("tier")
    assert (await caller.write("a", where=where, Tier=1))[1]["updated"] == 1
    assert caller.pendo.store.visitors["a"].custom == {"tier": 1}


@pytest.mark.parametrize("id_", ["", "::", "VISITOR-UNIQUE-ID", True, None, {"a": 1}])
async def test_an_invalid_id_is_an_error_and_the_others_pass(caller: Caller, id_: Any) -> None:
    """Each id on its own."""
    call = [{"visitorId": id_, "values": {"a": 1}}, {"visitorId": "good", "values": {"a": 1}}]
    status, answer = await caller.post(f"metadata/visitor/{CREATE}", call)
    assert (status, answer["updated"], answer["errors"]) == (200, 1, [{"id": id_}])


@pytest.mark.parametrize(
    "call",
    [b"no json", {"visitorId": "a"}, ["a"], [{"values": {}}], [{"visitorId": "a"}], [{"visitorId": "a", "values": 1}]],
)
async def test_a_malformed_call_is_refused_as_a_whole(caller: Caller, call: Any) -> None:
    """400, and nothing is written, not even what was right."""
    good = {"visitorId": "good", "values": {"a": 1}}
    whole = [good, *call] if isinstance(call, list) else call
    status, _ = await caller.post(f"metadata/visitor/{CREATE}", whole)
    assert status == 400
    assert not caller.pendo.store.visitors


@switched(metadata_max_records=3)
async def test_a_call_that_takes_too_long_is_408(caller: Caller) -> None:
    """Fewer records pass."""
    assert (await caller.write("a", "b", "c", "d"))[0] == 408
    assert (await caller.write("a", "b", "c"))[0] == 200


async def test_a_call_that_is_too_large_is_413(caller: Caller) -> None:
    """By its bytes."""
    assert (await caller.write("a", text="x" * MAX_BODY_BYTES))[0] == 413


@pytest.mark.parametrize("path", [f"metadata/visitor/{CREATE}", "bulkdelete/visitor", "aggregation"])
async def test_a_wrong_key_is_403_without_a_word(caller: Caller, path: str) -> None:
    """Seen live: an empty body."""
    caller.key = "wrong"
    assert await caller.post(path, []) == (403, None)


async def test_a_key_without_write_access_reads_and_does_not_write(caller: Caller) -> None:
    """The token check says which it is."""
    await caller.write("a")
    caller.key = caller.pendo.read_only_key
    assert await caller.get("token/verify") == (200, {"valid": True, "writeAccess": False})
    assert (await caller.get("visitor/a"))[0] == 200
    assert (await caller.get("metadata/schema/visitor"))[0] == 200
    assert (await caller.write("a"))[0] == 403
    assert (await caller.post("bulkdelete/visitor", {"visitors": ["a"]}))[0] == 403


@pytest.mark.parametrize(
    ("fail", "answer"),
    [
        ("errors", {"failed": 1, "errors": [{"id": "b"}]}),
        ("missing", {"failed": 1, "missing": ["b"]}),
        ("untold", {"failed": 1}),
    ],
)
async def test_a_fault_may_fail_at_one_id(caller: Caller, fail: Any, answer: dict[str, Any]) -> None:
    """The others of the call pass."""
    caller.pendo.faults.add(Rule(id="b", answer=Answer(fail=fail)))
    assert await caller.write("a", "b", "c") == (200, {"total": 3, "updated": 2} | answer)
    assert list(caller.pendo.store.visitors) == ["a", "c"]


def test_a_fault_that_fails_at_an_id_names_it() -> None:
    """It would fail at none."""
    with pytest.raises(FaultError, match="names it"):
        Rule(answer=Answer(fail="errors"))


async def test_a_fault_about_an_id_meets_every_call_that_carries_it(caller: Caller) -> None:
    """And no other."""
    caller.pendo.faults.add(Rule(id="b", route="metadata", answer=Answer(status=500)))
    assert [(await caller.write(*ids))[0] for ids in ("a", "ab", "c", "b")] == [200, 500, 200, 500]


async def test_the_log_tells_which_call_was_about_whom(caller: Caller) -> None:
    """With its status; two calls about one id at once are an overlap."""
    await caller.write("a", "b")
    await caller.write("b", where=f"account/{CREATE}")
    [first, second] = caller.pendo.log
    assert (first.route, first.lanes, first.status) == ("metadata", ("visitor:a", "visitor:b"), 200)
    assert caller.pendo.log.about("account:b") == [second]
    assert caller.pendo.log.counts()["lane_overlaps"] == 0


async def test_a_deletion_is_done_for_good_and_later_events_make_the_visitor_anew(caller: Caller) -> None:
    """Irreversible; with its events."""
    await caller.write("a", "b", plan="pro")
    assert (await caller.post("bulkdelete/visitor", {"visitors": ["a"]}))[0] == 200
    assert (await caller.get("visitor/a"))[0] == 404
    assert (await caller.get("visitor/b"))[0] == 200
    await caller.write("a", seats=1)
    assert caller.pendo.store.visitors["a"].agent == {"seats": 1}


@switched(delete_at_once=False)
async def test_a_deletion_may_take_its_time(caller: Caller) -> None:
    """Pendo: up to 21 days."""
    await caller.write("acme", where=f"account/{CREATE}")
    await caller.post("bulkdelete/account", {"accounts": ["acme"]})
    assert (await caller.get("account/acme"))[0] == 200
    assert await caller.ask("POST", "delete") == {"deleted": 1}
    assert (await caller.get("account/acme"))[0] == 404


@switched(delete_per_s=None)
async def test_a_deletion_names_at_most_five_hundred_valid_ids(caller: Caller) -> None:
    """400 else."""
    ids = [f"v{number}" for number in range(MAX_IDS)]
    assert (await caller.post("bulkdelete/visitor", {"visitors": ids}))[0] == 200
    wrongs: list[Any] = [
        {"visitors": [*ids, "more"]},
        {"visitors": []},
        {"accounts": ["a"]},
        ["a"],
        {"visitors": ["::"]},
    ]
    for wrong in wrongs:
        assert (await caller.post("bulkdelete/visitor", wrong))[0] == 400


async def test_a_second_deletion_within_a_second_is_429(caller: Caller) -> None:
    """One call a second."""
    assert (await caller.post("bulkdelete/visitor", {"visitors": ["a"]}))[0] == 200
    assert (await caller.post("bulkdelete/visitor", {"visitors": ["b"]}))[0] == 429


@pytest.mark.parametrize(
    ("caller", "status", "text"),
    [
        (Switches(requests_per_s=2), 429, None),
        (Switches(requests_per_s=2, rate_limit_status=403), 403, "rateLimitExceeded"),
    ],
    indirect=["caller"],
)
async def test_more_requests_a_second_than_it_takes_are_limited(caller: Caller, status: int, text: str | None) -> None:
    """Either of the two ways that were seen."""
    answers = [await caller.write("a") for _ in range(3)]
    assert [answer[0] for answer in answers] == [200, 200, status]
    assert answers[-1][1] == text


async def test_the_schema_lists_fields_by_group_with_their_types(caller: Caller) -> None:
    """Further groups by an integration's name, when they have fields."""
    await caller.write("a", plan="pro", seats=3, active=True, tags=["x"])
    caller.pendo.store.custom_fields["visitor"].add("tier")
    status, groups = await caller.get("metadata/schema/visitor")
    assert status == 200
    assert groups.pop("auto")["id"] == {"Type": "string"}
    assert groups == {
        "agent": {
            "plan": {"Type": "string"},
            "seats": {"Type": "float"},
            "active": {"Type": "boolean"},
            "tags": {"Type": "list"},
        },
        "custom": {"tier": {"Type": "string"}},
    }


async def test_an_aggregation_answers_from_documented_sources(caller: Caller) -> None:
    """Visitors, accounts, track events; anything else is refused."""
    await caller.write("a", "b")
    status, rows = await caller.aggregate({"source": {"visitors": None}}, {"limit": 1})
    assert (status, [row["visitorId"] for row in rows]) == (200, ["a"])
    assert await caller.aggregate({"source": {"visitors": None}}, {"count": None}) == (200, [{"count": 2}])
    assert await caller.aggregate({"source": {"accounts": None}}, {"identified": "accountId"}) == (200, [])
    wrongs: list[Any] = [[], [{"source": {"guides": None}}], [{"source": {"trackEvents": None}}], [{"limit": 1}]]
    for wrong in wrongs:
        assert (await caller.aggregate(*wrong))[0] == 400
    assert (await caller.aggregate({"source": {"visitors": None}}, {"eval": {}}))[0] == 400
