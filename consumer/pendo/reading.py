"""Reading back: one visitor or account as Pendo has it.

An id and a key that may read come in, fields by group go out.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from yarl import URL

from consumer.errors import UnansweredError, UnreachableError
from consumer.pendo.client import Client
from consumer.pendo.endpoints import KEY_HEADER, Endpoints, Kind

Groups = Mapping[str, Mapping[str, Any]]
"""By group, such as `agent`, names and values."""


async def read_back(client: Client, endpoints: Endpoints, key: str, kind: Kind, id_: str) -> Groups | None:
    """What Pendo holds of a visitor or an account; None when it knows none of that id.

    Source: Pendo's `GET /api/v1/visitor/{id}` and `/api/v1/account/{id}`, as third parties saw it.

    Raises:
        UnreachableError: No answer came.
        UnansweredError: Pendo refuses, or its answer is no such thing.
    """
    try:
        status, body = await client.get(URL(endpoints.entity_url(kind, id_), encoded=True), {KEY_HEADER: key})
    except UnreachableError as error:
        what = f"Pendo cannot be reached ({error}): check pendo.region, pendo.api_url, proxy and firewall"
        raise UnreachableError(error.kind, what) from None
    if status == HTTPStatus.NOT_FOUND:
        return None
    if status != HTTPStatus.OK:
        raise UnansweredError(f"Pendo answered {status}: is pendo.integration_key right, and of this pendo.region?")
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    groups = answer.get("metadata") if isinstance(answer, dict) else None
    if not isinstance(groups, dict):
        raise UnansweredError("Pendo's answer is no visitor or account")
    return {name: fields for name, fields in groups.items() if isinstance(fields, dict)}
