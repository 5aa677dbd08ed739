"""The main job: what the SDKs sent arrives at Pendo; what cannot arrive lies in the dead-letter topic, with reasons."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from segment.analytics.client import Client

from consumer.cli import execute
from consumer.delivery.limit import FLOOR
from consumer.sandbox.simulator_faults import Answer, Rule
from tests.e2e.pipe import Pipe, event, headers_of
from tests.support.events import golden_events


def _python_sdk_events() -> list[dict[str, Any]]:
    sdk = Client("key", send=False)
    sdk.identify("ada", {"plan": "pro", "seats": 3, "address": {"city": "Zürich"}})
    calls = [
        sdk.identify("ada", {"plan": "pro", "seats": 3, "address": {"city": "Zürich"}}),
        sdk.group("ada", "acme", {"name": "ACME", "total billed": 830}),
        sdk.track("ada", "Report Exported", {"rows": 12}, context={"groupId": "acme"}),
        sdk.page("ada", "Docs", "Home", {"url": "https://example.com/"}),
        sdk.screen("ada", "App", "Inbox"),
    ]
    return [orjson.loads(orjson.dumps(message)) for _, message in calls]


def _as_pendo_gets_it(sent: dict[str, Any]) -> dict[str, Any]:
    """The documented changes, made by hand: a page or screen is a track, an account from the context."""
    expected = {key: value for key, value in sent.items() if key not in {"name", "category"}}
    if sent["type"] in {"page", "screen"}:
        kind = sent["type"].title()
        category = sent.get("category") if sent["type"] == "page" else None
        words = [word for word in (category, sent.get("name")) if word]
        expected |= {
            "type": "track",
            "event": f"Viewed {' '.join(words)} {kind}" if sent.get("name") else f"Loaded a {kind}",
        }
    account = (sent.get("context") or {}).get("groupId")
    if expected["type"] == "track" and account:
        expected["properties"] = {"groupId": account} | (sent.get("properties") or {})
    return expected


async def test_what_the_sdks_sent_arrives_as_visitor_account_and_track_events(pipe: Pipe) -> None:
    """Every type, from the Python SDK made here and from captured Python and Node SDK output, equal by value."""
    events = [e for e in golden_events("sdk_*") if e["type"] != "alias" and e.get("userId")]
    events = [e for e in events if (e.get("integrations") or {}).get("All") is not False]
    events += _python_sdk_events()
    assert {"identify", "group", "track", "page", "screen"} <= {e["type"] for e in events}
    async with pipe.service() as service:
        await pipe.produce(events)
        metrics = await service.until_settled(len(events))
    assert metrics.sum("events_settled_total", outcome="delivered") == len(events)
    got = {e.message_id: orjson.loads(e.body or "") for e in pipe.simulator.log}
    for sent in events:
        assert got[sent["messageId"]] == _as_pendo_gets_it(sent)
    store = pipe.simulator.store
    assert store.visitors["ada"].metadata["plan"] == "pro"
    assert store.accounts["acme"].metadata["name"] == "ACME"
    assert "Viewed Docs Home Page" in {e.name for e in store.events}


async def test_an_unchanged_event_goes_out_byte_for_byte(pipe: Pipe) -> None:
    """Spaces, order of keys, escapes and duplicate keys included."""
    value = b'{ "userId":"u1", "type" :"track","event":"\\u00e9", "messageId":"1","properties":{"a":1e2,"a":2} }'
    async with pipe.service() as service:
        await pipe.produce([value])
        await service.until_settled(1)
    [entry] = pipe.simulator.log
    assert entry.body == value.decode()


async def test_poison_is_dead_lettered_with_every_header_and_the_next_record_goes_on(pipe: Pipe) -> None:
    """The original key, value and headers are untouched; a reason says what is wrong."""
    poison = b"\xff no json"
    async with pipe.service() as service:
        [(partition, offset), _] = await pipe.produce([poison, event(2)], partition=1)
        await service.until_settled(2)
    assert pipe.accepted() == ["2"]
    [letter] = await pipe.dead_letters()
    assert (letter.key, letter.value) == (b"key", poison)
    headers = headers_of(letter)
    assert headers == headers | {
        "source": "test",
        "__connect.errors.topic": pipe.topic,
        "__connect.errors.partition": str(partition),
        "__connect.errors.offset": str(offset),
        "__connect.errors.stage": "decode",
        "pendo.dlq.reason": "undecodable",
        "pendo.dlq.attempts": "0",
        "pendo.dlq.replays": "0",
        "pendo.dlq.version": "1",
    }
    assert headers["__connect.errors.exception.class.name"]
    assert headers["__connect.errors.exception.message"]
    assert int(headers["pendo.dlq.original-timestamp"]) > 1_600_000_000_000
    absent = {"status", "first-attempt", "event-index", "message-id", "value", "merged-with"}
    assert not {f"pendo.dlq.{name}" for name in absent} & set(headers)


async def test_what_pendo_refuses_is_dead_lettered_at_once_and_its_neighbours_are_not_touched(pipe: Pipe) -> None:
    """One 400 among events of the same visitor: no second try, order kept."""
    pipe.simulator.faults.add(Rule(message_id="3", answer=Answer(status=400)))
    async with pipe.service() as service:
        await pipe.produce([event(n) for n in range(6)])
        metrics = await service.until_settled(6)
    assert metrics.sum("events_settled_total", outcome="dead_lettered", reason="refused", type="track") == 1
    assert [e.message_id for e in pipe.simulator.log] == ["0", "1", "2", "3", "4", "5"]
    [letter] = await pipe.dead_letters()
    headers = headers_of(letter)
    assert headers == headers | {
        "__connect.errors.stage": "deliver",
        "pendo.dlq.reason": "refused",
        "pendo.dlq.status": "400",
        "pendo.dlq.attempts": "1",
        "pendo.dlq.message-id": "3",
    }
    assert int(headers["pendo.dlq.first-attempt"]) > 1_600_000_000_000


BAD_EVENTS: dict[str, tuple[bytes, str]] = {
    "no id": (b'{"type":"track","event":"x"}', "invalid_id"),
    "an id of the wrong type": (b'{"type":"track","event":"x","userId":{"a":1}}', "invalid_id"),
    "an id beyond 64 bits": (b'{"type":"track","event":"x","userId":12345678901234567890123}', "invalid_id"),
    "no name": (b'{"type":"track","userId":"u"}', "invalid_event"),
    "traits that are a list": (b'{"type":"identify","userId":"u","traits":[1]}', "invalid_traits"),
    "properties that are text": (b'{"type":"track","event":"x","userId":"u","properties":"p"}', "invalid_properties"),
    "nested rubbish": (b"[" * 5000, "undecodable"),
    "an array's number": (b"[1]", "undecodable"),
    "a scalar": (b"17", "undecodable"),
    "Avro": (b"\x00\x00\x00\x00\x01abc", "undecodable"),
    "1 MB of rubbish": (b"x" * 900_000, "undecodable"),
}


async def test_every_kind_of_bad_event_is_one_dead_letter_with_its_reason(pipe: Pipe) -> None:
    """And each good event between them is delivered."""
    good = [event(n) for n in range(len(BAD_EVENTS))]
    mixed = [record for pair in zip((value for value, _ in BAD_EVENTS.values()), good, strict=True) for record in pair]
    async with pipe.service() as service:
        await pipe.produce(mixed, partition=0)
        await service.until_settled(len(mixed))
    assert sorted(pipe.accepted()) == sorted(e["messageId"] for e in good)
    letters = await pipe.dead_letters()
    found = {letter.value: headers_of(letter)["pendo.dlq.reason"] for letter in letters}
    assert found == dict(BAD_EVENTS.values())
    assert len(letters) == len(BAD_EVENTS)


async def test_k_bad_events_of_an_array_make_k_dead_letters(pipe: Pipe) -> None:
    """Each keeps the whole record and says which event it is about; the good ones are delivered."""
    value = orjson.dumps([event(0), 5, event(2), event(3, user=""), event(4)])
    async with pipe.service() as service:
        await pipe.produce([value])
        await service.until_settled(5)
        await service.until(lambda m: m.sum("lag_records") == 0)
    assert sorted(pipe.accepted()) == ["0", "2", "4"]
    letters = await pipe.dead_letters()
    assert {letter.value for letter in letters} == {value}
    found = {
        (headers_of(letter)["pendo.dlq.event-index"], headers_of(letter)["pendo.dlq.reason"]) for letter in letters
    }
    assert found == {("1", "undecodable"), ("3", "invalid_id")}


async def test_what_is_not_for_pendo_is_counted_with_a_reason(pipe: Pipe) -> None:
    """Nothing is sent, nothing is dead-lettered, and the records are committed."""
    events: list[dict[str, Any] | bytes | None] = [
        event(0, type="audience"),
        event(1, integrations={"All": False}),
        {"type": "track", "event": "x", "anonymousId": "a"},
        event(3, type="alias", previousId="p"),
        None,
        b"[]",
    ]
    async with pipe.service() as service:
        await pipe.produce(events)
        metrics = await service.until_settled(len(events))
    for labels in (
        {"outcome": "skipped", "reason": "unknown_type", "type": "other"},
        {"outcome": "filtered", "reason": "integrations", "type": "track"},
        {"outcome": "skipped", "reason": "anonymous", "type": "track"},
        {"outcome": "skipped", "reason": "no_route", "type": "alias"},
    ):
        assert metrics.sum("events_settled_total", **labels) == 1, labels
    assert metrics.sum("events_settled_total", outcome="skipped", reason="tombstone", type="none") == 2
    assert not list(pipe.simulator.log)
    assert not await pipe.dead_letters()


async def test_an_opted_out_visitor_is_settled_as_suppressed(pipe: Pipe) -> None:
    """451 is neither a failure nor a delivery."""
    pipe.simulator.faults.add(Rule(id="u1", answer=Answer(status=451)))
    async with pipe.service() as service:
        await pipe.produce([event(0)])
        metrics = await service.until_settled(1)
    assert metrics.sum("events_settled_total", outcome="suppressed", reason="opted_out") == 1


async def test_one_visitors_events_go_one_at_a_time_in_order_and_many_visitors_side_by_side(pipe: Pipe) -> None:
    """With slow answers and some that fail first."""
    pipe.simulator.faults.add(Rule(rate=0.2, answer=Answer(status=500), seed=7))
    pipe.simulator.faults.add(Rule(answer=Answer(delay_s=0.005)))
    events = [event(f"{user}-{n}", user=f"user{user}") for n in range(10) for user in range(30)]
    async with pipe.service(delivery__max_retry_delay_s="1") as service:
        await pipe.produce(events)
        await service.until_settled(len(events))
    counts = pipe.simulator.log.counts()
    assert counts["max_lane_in_flight"] == 1
    assert counts["max_in_flight"] > FLOOR / 2, "so many failures lower the limit, but not to one"
    for user in range(30):
        mine = [m for m in pipe.accepted() if m.startswith(f"{user}-")]
        assert mine == [f"{user}-{n}" for n in range(10)]


@pytest.mark.parametrize("start_from", ["latest", "2020-01-01T00:00:00Z"])
async def test_a_partition_without_a_commit_starts_where_it_is_told(pipe: Pipe, start_from: str) -> None:
    """`latest` passes over what is there, a time finds it."""
    await pipe.produce([event("old")])
    async with pipe.service(kafka__start_from=start_from) as service:
        await service.until(lambda m: m.sum("commits_total", result="confirmed") >= 1)
        await pipe.produce([event("new")])
        await service.until(lambda _: "new" in pipe.accepted())
    assert pipe.accepted() == (["new"] if start_from == "latest" else ["old", "new"])


async def test_a_restart_goes_on_where_it_stopped(pipe: Pipe) -> None:
    """A graceful stop commits all that is settled: nothing is sent twice."""
    await pipe.produce([event(n) for n in range(50)])
    async with pipe.service() as service:
        await service.until_settled(50)
        assert await service.stop() == 0
    await pipe.produce([event(n) for n in range(50, 60)])
    async with pipe.service() as service:
        await service.until_settled(10)
    assert sorted(map(int, pipe.accepted())) == list(range(60))


async def test_map_says_of_the_same_input_what_the_service_does(pipe: Pipe, capsys: pytest.CaptureFixture[str]) -> None:
    """Outcome, reason and the body of the request, for poison and for good events."""
    bad = [value for value, _ in BAD_EVENTS.values() if b"\x00" not in value and len(value) < 100_000]
    good = [orjson.dumps(e) for e in golden_events("sdk_*")]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "events.jsonl"
        file.write_bytes(b"\n".join(bad + good))
        assert execute(["map", str(file)]) == 1, "some of the lines are no JSON"
    said = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    async with pipe.service() as service:
        await pipe.produce(bad + good, partition=0)
        metrics = await service.until_settled(len(said))
    for outcome, reason in {(each["outcome"], each["reason"]) for each in said}:
        settled = "delivered" if outcome == "deliver" else outcome
        expected = sum((each["outcome"], each["reason"]) == (outcome, reason) for each in said)
        assert metrics.sum("events_settled_total", outcome=settled, reason=reason) == expected
    sent = {e.message_id: orjson.loads(e.body or "") for e in pipe.simulator.log}
    for each in said:
        if each["outcome"] == "deliver":
            assert each["requests"][0]["body"] == sent[each["messageId"]]
