"""What can be read back through Pendo's API: lists of metadata fields, and aggregations over what is kept.

Of aggregations only what Pendo documents as sources, and stages that a check of ours may use: anything else is refused.
"""

from typing import Any, Final

from consumer.sandbox.simulator_checks import RefusedError
from consumer.sandbox.simulator_store import METADATA_GROUP, Kind, Store
from consumer.sandbox.simulator_view import view

_DAY_MS: Final = 24 * 3600 * 1000
_PERIODS_MS: Final = {"dayRange": _DAY_MS, "hourRange": _DAY_MS // 24}


def schema(store: Store, kind: Kind) -> dict[str, Any]:
    """By group the fields that there are, each with its type; groups of integrations only when they have any."""
    groups: dict[str, dict[str, Any]] = {"auto": {"id": {"Type": "string"}}, "agent": {}, "custom": {}}
    groups["custom"] = {name: {"Type": "string"} for name in sorted(store.custom_fields[kind])}
    for entity in store.entities(kind).values():
        for name, value in entity.agent.items():
            groups["agent"][name] = {"Type": _type_of(value)}
        for name, value in entity.metadata.items():
            groups.setdefault(METADATA_GROUP, {})[name] = {"Type": _type_of(value)}
    return groups


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "float"
    return "list" if isinstance(value, list) else "string"


def aggregate(store: Store, asked: object) -> dict[str, Any]:
    """Answer an aggregation.

    Raises:
        RefusedError: It asks for what is not documented.
    """
    request = asked.get("request") if isinstance(asked, dict) else None
    pipeline = request.get("pipeline") if isinstance(request, dict) else None
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
    if not isinstance(series, dict) or series.get("period") not in _PERIODS_MS or "first" not in series:
        raise RefusedError(400, "trackEvents wants a timeSeries of period, first, and last or count")
    first_ms, period_ms = int(series["first"]), _PERIODS_MS[series["period"]]
    last_ms = int(series["last"]) if "last" in series else first_ms + period_ms * int(series.get("count", 1))
    shown = [event for id_ in store.visitors for event in (view(store, "visitor", id_) or {})["events"]]
    return [
        {"trackEventName": e["name"], "visitorId": e["visitor"], "accountId": e["account"], "firstTime": e["at_ms"]}
        for e in shown
        if e["at_ms"] is not None and first_ms <= e["at_ms"] < last_ms
    ]


def _stage(rows: list[dict[str, Any]], stage: object) -> list[dict[str, Any]]:
    if not isinstance(stage, dict) or len(stage) != 1:
        raise RefusedError(400, "a stage is an object of one key")
    match stage:
        case {"limit": int(most)}:
            return rows[:most]
        case {"count": None}:
            return [{"count": len(rows)}]
        case {"identified": str(key)}:
            return [row for row in rows if row.get(key)]
        case _:
            raise RefusedError(400, f"no stage {', '.join(stage)}")
