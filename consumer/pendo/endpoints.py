"""The endpoints: which URL each route posts to, by region or by base URLs of one's own.

Settings come in, URLs and headers go out. The Segment endpoint carries the API key in its path: `url` is for sending
alone, whatever is shown comes from `describe`. Source of the hosts: Pendo's documentation.
"""

from collections.abc import Mapping
from typing import Final, Literal, assert_never
from urllib.parse import quote, urlsplit

from consumer.config.settings import PendoSettings, RoutesSettings
from consumer.outcomes import EventType
from consumer.pendo.requests import Route

Kind = Literal["visitor", "account"]
"""Whom metadata is about."""
KINDS: Final[tuple[Kind, ...]] = ("visitor", "account")

METHOD: Final = "POST"
_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}
_HOSTS: Final[Mapping[str, tuple[str, str]]] = {
    "us": ("https://data.pendo.io", "https://app.pendo.io"),
    "eu": ("https://data.eu.pendo.io", "https://app.eu.pendo.io"),
    "us1": ("https://us1.data.pendo.io", "https://us1.app.pendo.io"),
    "jp": ("https://data.jpn.pendo.io", "https://app.jpn.pendo.io"),
    "au": ("https://data.au.pendo.io", "https://app.au.pendo.io"),
}
"""By region: the data host, the API host."""
_JSON: Final[Mapping[str, str]] = {"Content-Type": "application/json"}
KEY_HEADER: Final = "x-pendo-integration-key"
"""Carries the integration key on the API host."""
REDACTED: Final = "***"


def route_table(routes: RoutesSettings) -> dict[EventType, Route | None]:
    """The route of each event type; None for `off`."""
    return {type_: Route(name) if name else None for type_, name in routes.table().items()}


def routes_in_use(routes: RoutesSettings) -> list[Route]:
    """The routes that some event type takes."""
    taken = route_table(routes).values()
    return [route for route in Route if route in taken]


class Endpoints:
    """The URLs of one Pendo subscription.

    Attributes:
        data_url: Base of the Segment endpoint and of the Track Events API.
        api_url: Base of the other APIs.
        track_event_header: Which header carries the Track Event shared secret.
        metadata_path: Below the API's base and a kind: the group of fields that is written, and whether unknown ids
            are created.
    """

    __slots__ = ("api_url", "data_url", "metadata_path", "track_event_header")

    def __init__(
        self, *, data_url: str, api_url: str, track_event_header: str, metadata_path: str = "agent/value?create=true"
    ) -> None:
        self.data_url = data_url.rstrip("/")
        self.api_url = api_url.rstrip("/")
        self.track_event_header = track_event_header
        self.metadata_path = metadata_path

    @classmethod
    def from_settings(cls, pendo: PendoSettings) -> "Endpoints":
        """The region's hosts, where no base URL goes before them."""
        data_url, api_url = _HOSTS[pendo.region]
        return cls(
            data_url=pendo.data_url or data_url,
            api_url=pendo.api_url or api_url,
            track_event_header=pendo.track_event_header,
            metadata_path=f"{pendo.metadata_group}/value" + ("?create=true" if pendo.metadata_create else ""),
        )

    def segmentio_url(self, api_key: str) -> str:
        """Where raw Segment events go; never log it, the key is in its path."""
        return f"{self.data_url}/data/segmentio/{quote(api_key, safe='')}"

    def token_url(self) -> str:
        """Where an integration key is verified, by GET."""
        return f"{self.api_url}/api/v1/token/verify"

    def schema_url(self, kind: Kind) -> str:
        """Where the metadata fields of visitors or accounts are listed, by GET."""
        return f"{self.api_url}/api/v1/metadata/schema/{kind}"

    def entity_url(self, kind: Kind, id_: str) -> str:
        """Where one visitor or account is read, by GET; it holds the id."""
        return f"{self.api_url}/api/v1/{kind}/{quote(id_, safe='')}"

    def url(self, route: Route, credential: str, kind: Kind = "visitor") -> str:
        """Where a route's requests about visitors or accounts go; never log it, the credential may be a part of it."""
        match route:
            case Route.SEGMENTIO:
                return self.segmentio_url(credential)
            case Route.TRACK:
                return f"{self.data_url}/data/track"
            case Route.METADATA:
                return f"{self.api_url}/api/v1/metadata/{kind}/{self.metadata_path}"
            case Route.BULKDELETE:
                return f"{self.api_url}/api/v1/bulkdelete/{kind}"
            case _:
                assert_never(route)

    def server(self, route: Route) -> tuple[str, int]:
        """Host and port that a route's requests go to: what may be shown of a URL."""
        url = urlsplit(self.url(route, REDACTED))
        return url.hostname or "", url.port or _PORTS[url.scheme]

    def headers(self, route: Route, credential: str) -> Mapping[str, str]:
        """The headers of a route's requests; never log them, the credential may be one."""
        match route:
            case Route.SEGMENTIO:
                return _JSON
            case Route.TRACK:
                return {**_JSON, self.track_event_header: credential}
            case Route.METADATA | Route.BULKDELETE:
                return {**_JSON, KEY_HEADER: credential}
            case _:
                assert_never(route)

    def describe(self, route: Route, kind: Kind = "visitor") -> tuple[str, str, Mapping[str, str]]:
        """Method, URL, headers: what may be shown of a route, with `***` in place of a credential."""
        in_path = route is Route.SEGMENTIO
        url = f"{self.data_url}/data/segmentio/{REDACTED}" if in_path else self.url(route, REDACTED, kind)
        return METHOD, url, self.headers(route, REDACTED)
