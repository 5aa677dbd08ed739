"""Pendo's own list of metadata fields: a key that may read comes in, names with their groups and types go out."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from yarl import URL

from consumer.errors import UnansweredError
from consumer.pendo.client import Client
from consumer.pendo.endpoints import KEY_HEADER, Endpoints, Kind


async def known_fields(client: Client, endpoints: Endpoints, key: str, kind: Kind) -> dict[str, list[str]]:
    """By name in which groups a field is, each with its type: `agent string`.

    Source: Pendo's `GET /api/v1/metadata/schema/{visitor|account}`, as third parties saw it.

    Raises:
        UnreachableError: No answer came.
        UnansweredError: Pendo refuses, or its answer is no such list.
    """
    status, body = await client.get(URL(endpoints.schema_url(kind), encoded=True), {KEY_HEADER: key})
    if status != HTTPStatus.OK:
        raise UnansweredError(f"status {status}; a key is valid in its region only")
    try:
        groups = orjson.loads(body)
    except orjson.JSONDecodeError:
        groups = None
    if not isinstance(groups, dict):
        raise UnansweredError("the answer is no list of fields")
    found: dict[str, list[str]] = {}
    for group, fields in groups.items():
        for name, described in fields.items() if isinstance(fields, dict) else ():
            found.setdefault(name, []).append(f"{group} {_type_of(described)}".strip())
    return found


def _type_of(described: Any) -> str:  # noqa: ANN401 - JSON of any shape
    type_ = described.get("Type") if isinstance(described, Mapping) else None
    return type_ if isinstance(type_, str) else ""
