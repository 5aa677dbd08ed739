"""What can be read back through Pendo's API: lists of metadata fields, and aggregations over what is kept.

Of aggregations only what Pendo documents as sources, and stages that a check of ours may use: anything else is refused.
Names of types other than `string`, and of a track event's columns, are guesses.
"""

from collections.abc import Mapping
from typing import Any, Final

from consumer.sandbox.simulator_checks import RefusedError
from consumer.sandbox.simulator_store import Kind, Store
from consumer.sandbox.simulator_switches import Switches
from consumer.sandbox.simulator_view import events

_DAY_MS: Final = 24 * 3600 * 1000
_PERIODS_MS: Final = {"dayRange": _DAY_MS, "hourRange": _DAY_MS // 24}

_AUTO_OF_ALL: Final = {"id": "string", "firstvisit": "time", "lastvisit": "time"}
_AUTO: Final[Mapping[Kind, Mapping[str, str]]] = {
    "visitor": _AUTO_OF_ALL | {"accountid": "string", "accountids": "list"},
    "account": _AUTO_OF_ALL,
}


def schema(store: Store, kind: Kind, switches: Switches) -> dict[str, Any]:
    """By group the fields that there are, each with its type; groups of integrations only when they have any."""
    written = store.fields[kind]
    custom = {name: written.get("custom", {}).get(name, "string") for name in sorted(store.custom_fields[kind])}
    groups = written | {"agent": written.get("agent", {}), "custom": custom}
    found = {group: _described(types) for group, types in groups.items() if types or switches.empty_groups}
    return {"auto": _described(_AUTO[kind])} | found


def _described(types: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"Type": type_} for name, type_ in types.items()}


def aggregate(store: Store, asked: object) -> dict[str, Any]:
    """Answer an aggregation.

    Raises:
        RefusedError: It asks for what is not documented.
    """
    request = asked.get("request") if isinstance(asked, dict) else None
    pipeline = request.get("pipeline") if isinstance(request, dict) else None
    response = asked.get("response") if isinstance(asked, dict) else None
    if not isinstance(response, dict) or response.get("mimeType") != "application/json":
        raise RefusedError(400, "the answer is wanted in another form than JSON")
    if not isinstance(pipeline, list) or not pipeline or not isinstance(pipeline[0], dict):
        raise RefusedError(400, "there is no pipeline")
    rows = _rows(store, pipeline[0].get("source"))
    for stage in pipeline[1:]:
        rows = _stage(rows, stage)
    return {"results": rows}


def _rows(store: Store, source: object) -> list[dict[str, Any]]:
    if not isinstance(source, dict):
        raise RefusedError(400, "the pipeline has no source")
    if "visitors" in source:
        return [{"visitorId": id_, **each.to_json()} for id_, each in store.visitors.items()]
    if "accounts" in source:
        return [{"accountId": id_, **each.to_json()} for id_, each in store.accounts.items()]
    if "trackEvents" in source:
        return _events(store, source.get("timeSeries"))
    raise RefusedError(400, "the source is none of visitors, accounts, trackEvents")


def _events(store: Store, series: object) -> list[dict[str, Any]]:
    first_ms, end_ms = _range_ms(series)
    return [
        {"trackEventName": e["name"], "visitorId": e["visitor"], "accountId": e["account"], "firstTime": e["at_ms"]}
        for e in events(store)
        if first_ms <= e["at_ms"] < end_ms
    ]


def _range_ms(series: object) -> tuple[int, int]:
    """From when, and until when, of a time series; times are milliseconds since the epoch."""
    match series:
        case {"period": str(period), "first": int(first_ms), "last": int(last_ms)} if period in _PERIODS_MS:
            return first_ms, last_ms
        case {"period": str(period), "first": int(first_ms), "count": int(count)} if period in _PERIODS_MS:
            return first_ms, first_ms + _PERIODS_MS[period] * count
        case _:
            raise RefusedError(400, "trackEvents wants a timeSeries of period, first, and last or count")


def _stage(rows: list[dict[str, Any]], stage: object) -> list[dict[str, Any]]:
    if not isinstance(stage, dict) or len(stage) != 1:
        raise RefusedError(400, "a stage is an object of one key")
    match stage:
        case {"limit": int(most)} if most >= 0:
            return rows[:most]
        case {"count": None}:
            return [{"count": len(rows)}]
        case {"identified": str(key)}:
            return [row for row in rows if row.get(key)]
        case _:
            raise RefusedError(400, f"no stage {', '.join(stage)}")
