"""URLs by region and by base URL; what is shown of them holds no key."""

from typing import Any

import pytest

from consumer.config.settings import PendoSettings, RoutesSettings
from consumer.outcomes import EventType
from consumer.pendo.endpoints import KINDS, Endpoints, Kind, route_table, routes_in_use
from consumer.pendo.requests import Route


def endpoints(**pendo: Any) -> Endpoints:
    return Endpoints.from_settings(PendoSettings.model_validate(pendo))


@pytest.mark.parametrize(
    ("region", "data_url", "api_url"),
    [
        ("us", "https://data.pendo.io", "https://app.pendo.io"),
        ("eu", "https://data.eu.pendo.io", "https://app.eu.pendo.io"),
        ("us1", "https://us1.data.pendo.io", "https://us1.app.pendo.io"),
        ("jp", "https://data.jpn.pendo.io", "https://app.jpn.pendo.io"),
        ("au", "https://data.au.pendo.io", "https://app.au.pendo.io"),
    ],
)
def test_each_region_has_its_hosts(region: str, data_url: str, api_url: str) -> None:
    """As Pendo documents them."""
    found = endpoints(region=region)
    assert found.segmentio_url("k") == f"{data_url}/data/segmentio/k"
    assert found.token_url() == f"{api_url}/api/v1/token/verify"


def test_a_base_url_goes_before_the_region_and_may_have_a_path() -> None:
    """Each of the two by itself; a last slash does not matter."""
    found = endpoints(region="eu", data_url="http://127.0.0.1:9/relay/")
    assert found.segmentio_url("k") == "http://127.0.0.1:9/relay/data/segmentio/k"
    assert found.token_url() == "https://app.eu.pendo.io/api/v1/token/verify"
    assert endpoints(api_url="http://h/x").token_url() == "http://h/x/api/v1/token/verify"


def test_a_key_is_one_segment_of_the_path_whatever_is_in_it() -> None:
    """It must not change where the request goes."""
    assert endpoints().segmentio_url("a/../b?c#d%é").endswith("/data/segmentio/a%2F..%2Fb%3Fc%23d%25%C3%A9")


def test_what_is_shown_of_a_route_has_stars_for_the_key() -> None:
    """Method, URL and headers, as `map` prints them."""
    assert endpoints().describe(Route.SEGMENTIO) == (
        "POST",
        "https://data.pendo.io/data/segmentio/***",
        {"Content-Type": "application/json"},
    )


@pytest.mark.parametrize("header", ["x-pendo-integration-key", "x-pendo-track-event-secret"])
def test_the_track_events_api_takes_its_secret_in_a_header(header: str) -> None:
    """Of a name that can be configured: Pendo's own tools send two different ones."""
    found = endpoints(region="us1", track_event_header=header)
    assert found.url(Route.TRACK, "s3cret") == "https://us1.data.pendo.io/data/track"
    assert found.headers(Route.TRACK, "s3cret") == {"Content-Type": "application/json", header: "s3cret"}


def test_what_is_shown_of_the_track_events_api_has_stars_for_the_secret() -> None:
    """In its header."""
    assert endpoints(data_url="http://h/relay/").describe(Route.TRACK) == (
        "POST",
        "http://h/relay/data/track",
        {"Content-Type": "application/json", "x-pendo-integration-key": "***"},
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({}, "agent/value?create=true"),
        ({"metadata_create": False}, "agent/value"),
        ({"metadata_group": "custom"}, "custom/value?create=true"),
    ],
)
def test_metadata_has_a_url_for_visitors_and_one_for_accounts(settings: dict[str, Any], path: str, kind: Kind) -> None:
    """On the API host, with the group of fields and whether unknown ids are created."""
    found = endpoints(region="eu", **settings)
    assert found.url(Route.METADATA, "k", kind) == f"https://app.eu.pendo.io/api/v1/metadata/{kind}/{path}"
    assert found.headers(Route.METADATA, "k") == {"Content-Type": "application/json", "x-pendo-integration-key": "k"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_shown_of_a_deletion_has_stars_for_the_key(kind: Kind) -> None:
    """On the API host, too."""
    assert endpoints(api_url="http://h/relay/").describe(Route.BULKDELETE, kind) == (
        "POST",
        f"http://h/relay/api/v1/bulkdelete/{kind}",
        {"Content-Type": "application/json", "x-pendo-integration-key": "***"},
    )


def test_the_routes_in_use_are_those_that_some_type_takes() -> None:
    """In the order of the routes, each once."""
    facts = dict.fromkeys(("track", "page", "screen"), "track")
    off = dict.fromkeys(("identify", "group"), "off")
    assert routes_in_use(RoutesSettings()) == [Route.SEGMENTIO]
    assert routes_in_use(RoutesSettings.model_validate({"page": "track"})) == [Route.SEGMENTIO, Route.TRACK]
    assert routes_in_use(RoutesSettings.model_validate(facts | off)) == [Route.TRACK]
    assert routes_in_use(RoutesSettings.model_validate(dict.fromkeys(facts | off, "off"))) == []


def test_the_table_of_routes_names_every_type_that_can_be_routed() -> None:
    """None is off."""
    table = route_table(RoutesSettings.model_validate({"track": "off"}))
    assert {type_.value for type_, route in table.items() if route is Route.SEGMENTIO} == {
        "identify",
        "group",
        "page",
        "screen",
    }
    assert set(table) == set(EventType) - {EventType.OTHER, EventType.NONE}
