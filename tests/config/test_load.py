"""Loading: every kind of mistake is one line that says where, which key, what is wrong, and what is near."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from consumer.config.load import Loaded, load
from consumer.config.settings import Settings
from consumer.errors import ConfigError

API_KEY = "PENDO_CONSUMER_PENDO__API_KEY"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file's path as a person would type it."""
    monkeypatch.chdir(tmp_path)
    return Path("consumer.yaml")


def problems_of(file: Path | None, text: str | bytes = "", **environ: str) -> list[str]:
    if file is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as error:
        load(file, environ)
    return list(error.value.problems)


def loaded(file: Path, text: str, **environ: str) -> Loaded:
    file.write_text(text, "utf-8")
    return load(file, environ)


def test_without_file_and_environment_the_defaults_count() -> None:
    """One YAML file, or none."""
    assert load(None, {}).settings == Settings()


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "kafka:\n", "kafka:\n  security:\n"])
def test_an_empty_file_or_section_means_the_defaults(file: Path, text: str) -> None:
    """A section whose keys are all commented out is null to YAML."""
    assert loaded(file, text).settings == Settings()


def test_an_unknown_key_names_its_line_and_the_nearest_key(file: Path) -> None:
    """The very line that the interface promises."""
    text = "log:\n  level: info\nkafka:\n  bootstrap_serverz: x:1\n"
    assert problems_of(file, text) == [
        "consumer.yaml:4: kafka.bootstrap_serverz: unknown key; did you mean kafka.bootstrap_servers?"
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("kafak: {topics: [a]}", "kafak: unknown key; did you mean kafka?"),
        ("api_key: x", "api_key: unknown key; did you mean pendo.api_key?"),
        ("kafka: {password: x}", "kafka.password: unknown key; did you mean kafka.security.password?"),
        ("zzzzzzzz: 1", "zzzzzzzz: unknown key"),
        (
            "pendo: {api_key_file: /key}",
            f"pendo.api_key_file: unknown key; a secret's file is named by the environment variable {API_KEY}_FILE",
        ),
    ],
)
def test_the_nearest_key_is_looked_for_in_all_sections(file: Path, text: str, hint: str) -> None:
    """A key in the wrong place is found as well as a misspelt one."""
    assert problems_of(file, text) == [f"consumer.yaml:1: {hint}"]


def test_all_problems_come_at_once_in_the_order_of_the_file(file: Path) -> None:
    """Nobody wants to mend a configuration one restart at a time."""
    text = "kafka:\n  start_from: soon\n  topics: [a/b]\n  nope: 1\nhttp:\n  port: 70000\nlog:\n  level: loud\n"
    environ = {"PENDO_CONSUMER_HTTP__PROT": "1", "PENDO_CONSUMER_KAFKA__COMMIT_INTERVAL_S": "often"}
    places = [problem.split(": ")[0] for problem in problems_of(file, text, **environ)]
    variables = ["PENDO_CONSUMER_HTTP__PROT", "PENDO_CONSUMER_KAFKA__COMMIT_INTERVAL_S"]
    assert places == sorted([*variables, *(f"consumer.yaml:{line}" for line in (2, 3, 4, 6, 8))])


def test_a_duplicate_key_is_an_error_that_names_both_lines(file: Path) -> None:
    """YAML itself would take the last without a word."""
    text = "kafka:\n  group_id: a\n  consumer_options:\n    fetch_min_bytes: 1\n    fetch_min_bytes: 2\n  group_id: b\n"
    assert problems_of(file, text) == [
        "consumer.yaml:5: kafka.consumer_options.fetch_min_bytes: written twice, first in line 4",
        "consumer.yaml:6: kafka.group_id: written twice, first in line 2",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kafka:\n\ttopics: a", "consumer.yaml:2: not valid YAML"),
        ("kafka: [", "consumer.yaml:1: not valid YAML"),
        ("kafka: {}\n---\nlog: {}\n", "consumer.yaml:2: not valid YAML"),
        ("kafka:\n  client_id: !!python/object:os.system x", "consumer.yaml:2: not valid YAML"),
        ("- kafka\n- log\n", "consumer.yaml:1: must be a mapping of sections"),
        ("just text", "consumer.yaml:1: must be a mapping of sections"),
        ("kafka: localhost", "consumer.yaml:1: kafka: must be a section, keys with values"),
        ("kafka:\n  ? [a, b]\n  : 1\n", "consumer.yaml:2: kafka.?: a key must be text"),
        ("kafka:\n  client_id: !!int x\n", "consumer.yaml:2: kafka.client_id: has a value that is not what it looks"),
        ("[" * 3000, "consumer.yaml: is nested too deeply"),
        (b"kafka:\n  group_id: \xff\n", "consumer.yaml: is not UTF-8 text"),
        (b"kafka:\n  group_id: \x07\n", "consumer.yaml:2: holds a character that YAML does not allow"),
    ],
)
def test_a_file_that_is_no_configuration_is_named_with_the_line(file: Path, text: str | bytes, problem: str) -> None:
    """Syntax, structure and encoding."""
    found = problems_of(file, text)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_a_missing_file_and_a_directory_are_problems_without_a_trace(file: Path) -> None:
    """The name that was given, and what the system says."""
    with pytest.raises(ConfigError, match=r"^consumer\.yaml: cannot be read: No such file or directory$"):
        load(file, {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(file.absolute().parent, {})


def test_a_byte_order_mark_is_harmless(file: Path) -> None:
    """Some editors write one."""
    assert loaded(file, "\ufeffkafka: {group_id: a}").settings.kafka.group_id == "a"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kafka: {bootstrap_servers: 'kafka://a:1'}", "kafka.bootstrap_servers: item 1: must be host:port"),
        ("kafka: {bootstrap_servers: ['a:1', 'b:99999']}", "kafka.bootstrap_servers: item 2: must be host:port"),
        ("kafka: {bootstrap_servers: 5}", "kafka.bootstrap_servers: must be a list, or text with commas"),
        ("kafka: {bootstrap_servers: '['}", "kafka.bootstrap_servers: begins with [ but is no JSON"),
        ("kafka: {topics: []}", "kafka.topics: must not be empty"),
        ("kafka: {topics: '..'}", "kafka.topics: item 1: must be a Kafka topic's name"),
        ("kafka: {group_id: ''}", "kafka.group_id: must not be empty"),
        ("kafka: {group_id: 5}", "kafka.group_id: must be text; write it in quotes"),
        ("kafka: {group_id: }", "kafka.group_id: has no value"),
        ("kafka: {start_from: tomorrow}", "kafka.start_from: must be earliest, latest or an ISO time"),
        ("kafka: {start_from: 2026-01-31}", "kafka.start_from: must be earliest, latest or an ISO time"),
        ("kafka: {start_from: 2026-01-31T12:00:00}", "kafka.start_from: needs a time zone"),
        ("kafka: {commit_interval_s: 0}", "kafka.commit_interval_s: must be greater than 0"),
        ("kafka: {commit_interval_s: .inf}", "kafka.commit_interval_s: must be"),
        ("kafka: {commit_interval_s: yes}", "kafka.commit_interval_s: must be a number"),
        ("kafka: {session_timeout_s: 0.5}", "kafka.session_timeout_s: must be greater than or equal to 1"),
        ("kafka: {consumer_options: [1]}", "kafka.consumer_options: must be a mapping of names to values"),
        ("kafka: {consumer_options: {group_id: a}}", "kafka.consumer_options: group_id: set by the service itself"),
        ("kafka: {security: {protocol: TLS}}", "kafka.security.protocol: must be 'PLAINTEXT', 'SSL'"),
        ("kafka: {security: {oauth_token_url: 'https://a:b@c'}}", "kafka.security.oauth_token_url: must not hold"),
        ("segment: {envelope_path: a..b}", "segment.envelope_path: must be names joined by dots"),
        ("segment: {anonymous: drop}", "segment.anonymous: must be 'skip' or 'visitor'"),
        ("pendo: {region: mars}", "pendo.region: must be 'us', 'eu', 'us1', 'jp' or 'au'"),
        ("pendo: {data_url: data.pendo.io}", "pendo.data_url: must be an http:// or https:// URL"),
        ("pendo: {data_url: 'http://a:x'}", "pendo.data_url: must be an http:// or https:// URL"),
        ("pendo: {data_url: 'https://a/?x=1'}", "pendo.data_url: must not hold a query or a fragment"),
        ("pendo: {api_url: 'https://u:p@a'}", "pendo.api_url: must not hold a user or a password"),
        ("pendo: {proxy: 'http://a/path'}", "pendo.proxy: must be scheme, host and port only"),
        ("pendo: {api_key: 12345}", "pendo.api_key: must be text; write it in quotes, or give it as a file"),
        ("pendo: {api_key: ' '}", "pendo.api_key: is empty"),
        ('pendo: {api_key: "a\\nb"}', "pendo.api_key: holds a line break"),
        ("pendo: {track_event_header: 'a b'}", "pendo.track_event_header: must be an HTTP header's name"),
        ("pendo: {metadata_create: 7}", "pendo.metadata_create: must be true or false"),
        ("routes: {identify: track}", "routes.identify: must be 'segmentio', 'metadata' or 'off'"),
        ("routes: {group: bulkdelete}", "routes.group: must be 'segmentio', 'metadata' or 'off'"),
        ("routes: {delete: segmentio}", "routes.delete: must be 'bulkdelete' or 'off'"),
        ("routes: {alias: segmentio}", "routes.alias: must be 'off'"),
        ("routes: {page: metadata}", "routes.page: must be 'segmentio', 'track' or 'off'"),
        ("mapping: {file: ''}", "mapping.file: must not be empty"),
        ("mapping: {handlers: [a.b]}", "mapping.handlers: item 1: must be package.module:function"),
        ("mapping: {handlers: 'a:b, c-d:e'}", "mapping.handlers: item 2: must be package.module:function"),
        ("delivery: {max_concurrency: 0}", "delivery.max_concurrency: must be greater than or equal to 1"),
        ("delivery: {max_concurrency: 1.5}", "delivery.max_concurrency: must be a whole number"),
        ("delivery: {max_batch: 501}", "delivery.max_batch: must be less than or equal to 500"),
        ("delivery: {max_open_bytes: 64 MX}", "delivery.max_open_bytes: must be a size in bytes"),
        ("delivery: {max_open_bytes: yes}", "delivery.max_open_bytes: must be a number"),
        ("delivery: {rate_limit: {segmentio: 0}}", "delivery.rate_limit.segmentio: must be greater than 0"),
        ("dead_letter: {flood_share: 2}", "dead_letter.flood_share: must be less than or equal to 1"),
        ("http: {port: -1}", "http.port: must be greater than or equal to 0"),
        ("http: {peers: 'http://pods'}", "http.peers: must be host or host:port, without a scheme"),
        ("http: {peers: 'pods:0'}", "http.peers: must be host or host:port, without a scheme"),
        ("http: {peers: '::1'}", "http.peers: must be host or host:port; an IPv6 address stands in brackets"),
        ("log: {format: xml}", "log.format: must be 'json' or 'text'"),
    ],
)
def test_a_wrong_value_is_told_in_plain_words(file: Path, text: str, problem: str) -> None:
    """Every kind of value has a test that fails when its check is removed."""
    found = problems_of(file, text)
    assert len(found) == 1
    assert found[0].startswith(f"consumer.yaml:1: {problem}")


@pytest.mark.parametrize(
    ("text", "of_value"),
    [("67108864", 67108864), ("64 MiB", 67108864), ("64MB", 64_000_000), ("'1kib'", 1024), ("100 B", 100)],
)
def test_sizes_are_bytes_or_have_a_unit(file: Path, text: str, of_value: int) -> None:
    """Binary and decimal units differ."""
    assert loaded(file, f"delivery: {{max_open_bytes: {text}}}").settings.delivery.max_open_bytes == of_value


@pytest.mark.parametrize("text", ["2026-01-31T12:00:00Z", "'2026-01-31T12:00:00Z'", "2026-01-31T14:00:00+02:00"])
def test_a_start_time_is_aware(file: Path, text: str) -> None:
    """As YAML reads it, and as text."""
    assert loaded(file, f"kafka: {{start_from: {text}}}").settings.kafka.start_from == datetime(
        2026, 1, 31, 12, tzinfo=UTC
    )


def test_an_unquoted_off_is_the_word_off(file: Path) -> None:
    """YAML 1.1 reads it as false."""
    table = loaded(file, "routes: {alias: off, track: off}").settings.routes.table()
    assert [type_.value for type_, route in table.items() if route is None] == ["track", "alias", "delete"]


def test_base_urls_lose_their_last_slash_and_keep_their_path(file: Path) -> None:
    """So that joining is simple."""
    assert loaded(file, "pendo: {data_url: 'http://h:1/base/'}").settings.pendo.data_url == "http://h:1/base"


def test_envelope_path_gives_its_steps(file: Path) -> None:
    """As decoding wants them."""
    assert loaded(file, "segment: {envelope_path: a.b}").settings.segment.envelope_keys == ("a", "b")
    assert Settings().segment.envelope_keys == ()


def test_settings_are_frozen() -> None:
    """They are handed to every part of the service."""
    with pytest.raises(ValidationError):
        Settings().kafka.group_id = "other"
