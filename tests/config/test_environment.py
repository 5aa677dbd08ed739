"""The environment: every key, Kubernetes' own variables, secrets by file."""

from pathlib import Path

import pytest

from consumer.config.keys import KEYS, SECRETS, variable
from consumer.config.load import load
from consumer.errors import ConfigError

KUBERNETES = {
    "PENDO_CONSUMER_SERVICE_HOST": "10.0.0.1",
    "PENDO_CONSUMER_SERVICE_PORT": "8080",
    "PENDO_CONSUMER_SERVICE_PORT_HTTP": "8080",
    "PENDO_CONSUMER_PORT": "tcp://10.0.0.1:8080",
    "PENDO_CONSUMER_PORT_8080_TCP": "tcp://10.0.0.1:8080",
    "PENDO_CONSUMER_PORT_8080_TCP_ADDR": "10.0.0.1",
    "PENDO_CONSUMER_METRICS_SERVICE_HOST": "10.0.0.2",
}
API_KEY = "PENDO_CONSUMER_PENDO__API_KEY"


def problems_of(**environ: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as error:
        load(None, environ)
    return error.value.problems


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    """Keys that it does not name stay as the file has them."""
    file = tmp_path / "consumer.yaml"
    file.write_text("kafka: {group_id: file, client_id: file}")
    kafka = load(file, {"PENDO_CONSUMER_KAFKA__GROUP_ID": "environment"}).settings.kafka
    assert (kafka.group_id, kafka.client_id) == ("environment", "file")


@pytest.mark.parametrize("text", ["a, b", '["a", "b"]', " a,b, "])
def test_lists_are_json_or_have_commas(text: str) -> None:
    """Both mean the same."""
    assert load(None, {"PENDO_CONSUMER_KAFKA__TOPICS": text}).settings.kafka.topics == ("a", "b")


def test_text_becomes_the_type_of_its_key() -> None:
    """Numbers, truth values, sizes and mappings."""
    settings = load(
        None,
        {
            "PENDO_CONSUMER_HTTP__PORT": "0",
            "PENDO_CONSUMER_DELIVERY__PAUSED": "true",
            "PENDO_CONSUMER_DELIVERY__MAX_OPEN_BYTES": "1 MiB",
            "PENDO_CONSUMER_DELIVERY__RATE_LIMIT__SEGMENTIO": "2.5",
            "PENDO_CONSUMER_KAFKA__CONSUMER_OPTIONS": '{"fetch_max_wait_ms": 250}',
            "PENDO_CONSUMER_ROUTES__TRACK": "off",
        },
    ).settings
    assert (settings.http.port, settings.delivery.paused, settings.delivery.max_open_bytes) == (0, True, 1024 * 1024)
    assert (settings.delivery.rate_limit.segmentio, settings.routes.track) == (2.5, "off")
    assert settings.kafka.consumer_options == {"fetch_max_wait_ms": 250}


def test_an_empty_variable_is_none_where_a_key_may_be_none_and_wrong_elsewhere(tmp_path: Path) -> None:
    """Compose files give empty variables; topics must not turn into the default by accident."""
    file = tmp_path / "consumer.yaml"
    file.write_text("segment: {envelope_path: a.b}")
    assert load(file, {"PENDO_CONSUMER_SEGMENT__ENVELOPE_PATH": ""}).settings.segment.envelope_path is None
    assert problems_of(PENDO_CONSUMER_KAFKA__TOPICS="") == (
        "PENDO_CONSUMER_KAFKA__TOPICS: kafka.topics: must not be empty",
    )


def test_kubernetes_own_variables_are_harmless() -> None:
    """A service named like ours puts them into every pod."""
    assert load(None, KUBERNETES).warnings == ()


def test_another_variable_without_nesting_is_ignored_with_a_warning() -> None:
    """It is most likely a key with one underscore too few."""
    assert load(None, {"PENDO_CONSUMER_KAFKA_GROUP_ID": "x"}).warnings == (
        "PENDO_CONSUMER_KAFKA_GROUP_ID: ignored, it names no key; did you mean PENDO_CONSUMER_KAFKA__GROUP_ID?",
    )


def test_the_name_of_the_file_is_no_unknown_variable() -> None:
    """The command reads it; loading has no opinion."""
    assert load(None, {"PENDO_CONSUMER_CONFIG": "consumer.yaml"}).warnings == ()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("PENDO_CONSUMER_KAFKA__GROUP_IDD", "; did you mean PENDO_CONSUMER_KAFKA__GROUP_ID?"),
        ("PENDO_CONSUMER_kafka__group_id", "; did you mean PENDO_CONSUMER_KAFKA__GROUP_ID?"),
        ("PENDO_CONSUMER_KAFKA__GROUP_ID_FILE", "; did you mean PENDO_CONSUMER_KAFKA__GROUP_ID?"),
        ("PENDO_CONSUMER_XX__YY", ""),
    ],
)
def test_a_nested_variable_that_is_no_key_is_an_error(name: str, hint: str) -> None:
    """Only secrets can come from files."""
    (problem,) = problems_of(**{name: "x"})
    assert problem.startswith(f"{name}: unknown key")
    assert problem.endswith(hint)


def test_every_key_has_a_variable_of_its_own() -> None:
    """Nesting is written with two underscores, and no key's name makes that ambiguous."""
    assert len({variable(key) for key in KEYS}) == len(KEYS)
    assert all("__" not in key for key in KEYS)


def test_the_secrets_are_these() -> None:
    """What is in this set is masked, write-only in the schema, and may come from a file."""
    assert {
        "kafka.security.password",
        "pendo.api_key",
        "pendo.track_event_secret",
        "pendo.integration_key",
        "http.admin_token",
    } == SECRETS


@pytest.mark.parametrize("key", sorted(SECRETS - {"kafka.security.password"}))
def test_every_secret_may_come_from_a_file(tmp_path: Path, key: str) -> None:
    """The line break at its end does not belong to it."""
    file = tmp_path / "secret"
    file.write_text("s3cret\r\n")
    loaded = load(None, {f"{variable(key)}_FILE": str(file)})
    assert loaded.secret_files == {key: file}
    assert loaded.secrets() == ["s3cret"]


def test_a_secret_given_twice_is_an_error(tmp_path: Path) -> None:
    """Which of the two counts would be a guess."""
    file = tmp_path / "secret"
    file.write_text("x")
    assert problems_of(**{API_KEY: "y", f"{API_KEY}_FILE": str(file)}) == (
        f"{API_KEY}_FILE: pendo.api_key: {API_KEY} is set too; keep one of the two",
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"a\nb", "holds a line break or another control character"),
        (b"\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_a_secret_file_that_holds_no_secret_is_an_error(tmp_path: Path, content: bytes | None, problem: str) -> None:
    """An unset key would otherwise look like a wrong one, at the first event."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    assert problems_of(**{f"{API_KEY}_FILE": str(file)}) == (
        f"{API_KEY}_FILE: pendo.api_key: the file {file} {problem}",
    )


@pytest.mark.parametrize(
    "text",
    [
        "pendo: {api_key: 990017}",
        "pendo: {api_key: {hunter990017: 1}}",
        "pendo: {api_key: !hunter990017 x}",
        "pendo: {api_key: *hunter990017 }",
        "pendo: {api_key: !!int hunter990017}",
        'pendo: {api_key: "hunter990017\\n"}',
        "pendo:\n  api_key: hunter990017: x\n",
        "pendo:\n  - hunter990017\n",
        "pendo: {data_url: 'http://u:hunter990017@h'}",
        "pendo: {region: hunter990017}",
        "kafka: {consumer_options: {sasl_plain_password: hunter990017}}",
        "kafka: {security: {password: hunter990017}}",
    ],
)
def test_no_problem_quotes_a_value(tmp_path: Path, text: str) -> None:
    """Whatever is wrong with it: a value may be a secret, also one that stands at the wrong key."""
    file = tmp_path / "consumer.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        load(file, {})
    assert error.value.problems
    assert "990017" not in str(error.value)


def test_secrets_are_not_in_the_representation_of_what_was_loaded() -> None:
    """It may end up in a traceback."""
    assert "hunter2" not in repr(load(None, {API_KEY: "hunter2"}))


def test_a_proxys_password_is_a_secret_too() -> None:
    """The configured one's, and that of the environment."""
    environ = {"PENDO_CONSUMER_PENDO__PROXY": "http://u:p%40ss@proxy:1", "HTTPS_PROXY": "http://u:other@proxy:1"}
    assert load(None, environ).secrets() == ["p@ss", "other"]
