"""Values that do not fit together, and credentials that the routes need."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from consumer.config.checks import require_credentials
from consumer.config.load import load
from consumer.config.settings import Settings
from consumer.errors import ConfigError

PEM = __file__
"""Checks only look whether a file can be read."""


def problems_of(tmp_path: Path, values: dict[str, Any]) -> list[str]:
    """The problems, without the place before them."""
    file = tmp_path / "consumer.yaml"
    file.write_text(yaml.safe_dump(values))
    try:
        load(file, {})
    except ConfigError as error:
        return [problem.partition(": ")[2] for problem in error.problems]
    return []


@pytest.mark.parametrize(
    "security",
    [
        {"protocol": "SSL"},
        {"protocol": "SSL", "ca_file": PEM, "cert_file": PEM, "key_file": PEM},
        {"protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "username": "u", "password": "p", "ca_file": PEM},
        {"protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-512", "username": "u", "password": "p"},
        {"protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER", "password": "token"},
        {
            "protocol": "SASL_SSL",
            "sasl_mechanism": "OAUTHBEARER",
            "oauth_token_url": "https://login/token?tenant=1",
            "oauth_scope": "kafka",
            "username": "id",
            "password": "secret",
        },
    ],
)
def test_a_complete_login_passes(tmp_path: Path, security: dict[str, str]) -> None:
    """Each way to connect that there is."""
    assert problems_of(tmp_path, {"kafka": {"security": security}}) == []


@pytest.mark.parametrize(
    ("security", "problem"),
    [
        ({"protocol": "SASL_SSL"}, "sasl_mechanism: is needed by the protocol SASL_SSL"),
        ({"protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "password": "p"}, "username: is needed by PLAIN"),
        (
            {"protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-256", "username": "u"},
            "password: is needed by SCRAM-SHA-256",
        ),
        ({"protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}, "password: is needed by OAUTHBEARER"),
        (
            {
                "protocol": "SASL_SSL",
                "sasl_mechanism": "OAUTHBEARER",
                "password": "p",
                "oauth_token_url": "https://a/b",
            },
            "username: is needed by oauth_token_url, as client id",
        ),
        (
            {"protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER", "password": "p", "oauth_scope": "s"},
            "oauth_scope: has no use without oauth_token_url",
        ),
        (
            {
                "protocol": "SASL_SSL",
                "sasl_mechanism": "PLAIN",
                "username": "u",
                "password": "p",
                "oauth_scope": "s",
            },
            "oauth_scope: has no use with PLAIN",
        ),
        ({"username": "u"}, "username: has no use with the protocol PLAINTEXT; did you mean SASL_SSL?"),
        (
            {"protocol": "SSL", "sasl_mechanism": "PLAIN"},
            "sasl_mechanism: has no use with the protocol SSL; did you mean SASL_SSL?",
        ),
        ({"ca_file": PEM}, "ca_file: has no use with the protocol PLAINTEXT; did you mean SSL or SASL_SSL?"),
        ({"protocol": "SSL", "cert_file": PEM}, "key_file: is needed beside cert_file"),
        ({"protocol": "SSL", "key_file": PEM}, "cert_file: is needed beside key_file"),
        (
            {"protocol": "SSL", "ca_file": "/no/such.pem"},
            "ca_file: the file /no/such.pem cannot be read: No such file or directory",
        ),
    ],
)
def test_an_incomplete_or_contradictory_login_is_refused(
    tmp_path: Path, security: dict[str, str], problem: str
) -> None:
    """What would connect in the clear, or not at all, is told before it is tried."""
    assert problems_of(tmp_path, {"kafka": {"security": security}}) == [f"kafka.security.{problem}"]


def test_pendos_ca_file_must_be_readable(tmp_path: Path) -> None:
    """Like those of Kafka."""
    assert problems_of(tmp_path, {"pendo": {"ca_file": str(tmp_path)}}) == [
        f"pendo.ca_file: the file {tmp_path} cannot be read: Is a directory"
    ]


def test_dead_letters_must_not_come_back_as_events(tmp_path: Path) -> None:
    """One topic for both would be an endless loop."""
    values = {"kafka": {"topics": ["a", "b"]}, "dead_letter": {"topic": "b"}}
    assert problems_of(tmp_path, values) == [
        "dead_letter.topic: is also in kafka.topics: dead letters would come back as events"
    ]


def test_a_rebalance_must_not_outlast_the_session(tmp_path: Path) -> None:
    """Whoever waits longer than the session is thrown out of the group meanwhile."""
    assert problems_of(tmp_path, {"kafka": {"rebalance_drain_s": 30}}) == [
        "kafka.rebalance_drain_s: must be less than kafka.session_timeout_s"
    ]


def test_a_wrong_value_is_not_said_to_be_missing_as_well(tmp_path: Path) -> None:
    """One mistake, one line."""
    security = {"protocol": "SASL", "sasl_mechanism": "PLAIN", "username": "u", "password": "p"}
    (problem,) = problems_of(tmp_path, {"kafka": {"security": security}})
    assert problem.startswith("kafka.security.protocol: must be")
    (problem,) = problems_of(tmp_path, {"kafka": {"security": {"protocol": "SASL_SSL", "mechanism": "PLAIN"}}})
    assert problem.startswith("kafka.security.mechanism: unknown key")


def test_the_route_segmentio_needs_the_api_key() -> None:
    """Loading does without, so that `map` works on a laptop."""
    with pytest.raises(ConfigError, match=r"^pendo.api_key: is needed by the route segmentio \(identify, .*_FILE"):
        require_credentials(load(None, {}).settings)
    require_credentials(load(None, {"PENDO_CONSUMER_PENDO__API_KEY": "k"}).settings)


@pytest.mark.parametrize("type_", ["track", "page", "screen"])
def test_the_route_track_needs_its_secret(type_: str) -> None:
    """Whichever type takes it; the other route's key does not help."""
    environ = {f"PENDO_CONSUMER_ROUTES__{type_.upper()}": "track", "PENDO_CONSUMER_PENDO__API_KEY": "k"}
    wanted = rf"^pendo.track_event_secret: is needed by the route track \({type_}\); set .*_FILE"
    with pytest.raises(ConfigError, match=wanted):
        require_credentials(load(None, environ).settings)
    require_credentials(load(None, environ | {"PENDO_CONSUMER_PENDO__TRACK_EVENT_SECRET": "s"}).settings)


@pytest.mark.parametrize(
    ("type_", "route"), [("identify", "metadata"), ("group", "metadata"), ("delete", "bulkdelete")]
)
def test_the_routes_of_calls_need_the_integration_key(type_: str, route: str) -> None:
    """Whichever type takes them; the other routes' keys do not help."""
    environ = {
        f"PENDO_CONSUMER_ROUTES__{type_.upper()}": route,
        "PENDO_CONSUMER_PENDO__API_KEY": "k",
        "PENDO_CONSUMER_PENDO__TRACK_EVENT_SECRET": "s",
    }
    wanted = rf"^pendo.integration_key: is needed by the route {route} \({type_}\); set .*_FILE"
    with pytest.raises(ConfigError, match=wanted):
        require_credentials(load(None, environ).settings)
    require_credentials(load(None, environ | {"PENDO_CONSUMER_PENDO__INTEGRATION_KEY": "i"}).settings)


def test_every_missing_credential_is_told_at_once() -> None:
    """One start, one list."""
    with pytest.raises(ConfigError) as caught:
        require_credentials(load(None, {"PENDO_CONSUMER_ROUTES__TRACK": "track"}).settings)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "pendo.api_key",
        "pendo.track_event_secret",
    ]


def test_a_route_that_nothing_takes_needs_no_credential() -> None:
    """Track events alone, by their own API."""
    routes = {"identify": "off", "group": "off"} | dict.fromkeys(("track", "page", "screen"), "track")
    require_credentials(Settings.model_validate({"routes": routes, "pendo": {"track_event_secret": "s"}}))


def test_without_a_route_no_credential_is_needed() -> None:
    """Everything off is odd, but complete."""
    off = dict.fromkeys(("identify", "group", "track", "page", "screen"), "off")
    require_credentials(Settings.model_validate({"routes": off}))
