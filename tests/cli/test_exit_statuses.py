"""The exit statuses that scripts hold on to, of every command where no other test asks for them.

0 and the 1 of what is found to be wrong need a broker: `tests/e2e`. The demo's and the sandbox's: `tests/sandbox`.
"""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from consumer.sandbox.children import free_port
from tests.cli.conftest import Run

OF_KAFKA = [
    ("lag",),
    ("trace", "m-1"),
    ("verify",),
    ("map", "--sample", "3"),
    ("schema", "--observed", "--sample", "3"),
    ("dlq", "list"),
    ("dlq", "list", "--group-by", "case", "--json"),
    ("dlq", "show", "letters-0@1"),
    ("dlq", "export"),
    ("dlq", "replay", "--dry-run"),
    ("dlq", "replay"),
]
"""What asks Kafka, beside `run`, which waits for it, and `check`, which tells its findings."""
OF_PODS = [("pause",), ("resume",), ("skip", "t-0@1")]
OF_A_CONFIGURATION = [*OF_KAFKA, *OF_PODS, ("test", "cases.yaml"), ("schema", "--observed", "events.jsonl")]


@pytest.mark.parametrize("argv", OF_KAFKA, ids=" ".join)
def test_without_kafka_it_is_1_and_a_line_that_says_what_to_look_at(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
) -> None:
    """Nothing on standard output that a script could take for an answer."""
    monkeypatch.setenv("PENDO_CONSUMER_KAFKA__BOOTSTRAP_SERVERS", f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("PENDO_CONSUMER_PENDO__INTEGRATION_KEY", "a-key")
    assert run(*argv) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("KafkaConnectionError; check kafka.bootstrap_servers and kafka.security\n")
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("argv", OF_A_CONFIGURATION, ids=" ".join)
def test_a_configuration_that_cannot_be_used_is_78(
    run: Run, capsys: pytest.CaptureFixture[str], directory: Path, argv: tuple[str, ...]
) -> None:
    """Whatever the command; those that `test_command` does not ask."""
    (directory / "c.yaml").write_text("kafka:\n  topicz: a\n")
    assert run(*argv, "--config", "c.yaml") == 78
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "c.yaml:2: kafka.topicz: unknown key; did you mean kafka.topics?\n"


@pytest.mark.parametrize("argv", [("verify",), ("trace", "m-1", "--pendo")], ids=" ".join)
def test_without_the_key_that_reads_it_is_78(
    run: Run, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]
) -> None:
    """Before Kafka is read for nothing."""
    assert run(*argv) == 78
    assert capsys.readouterr().err.startswith("pendo.integration_key: ")


@pytest.mark.parametrize(
    "argv",
    [
        ("dlq",),
        ("dlq", "show"),
        ("dlq", "show", "letters-0"),
        ("dlq", "list", "--type", "nonsense"),
        ("dlq", "export", "--since", "yesterday"),
        ("dlq", "replay", "letters@1"),
        ("dlq", "replay", "--rate", "0"),
        ("dlq", "replay", "--rate", "nan"),
        ("dlq", "replay", "--rate", "inf"),
        ("lag", "--url"),
        ("map", "--sample", "0"),
        ("map", "--sample", "3", "events.jsonl"),
        ("pause", "now"),
        ("run", "now"),
        ("schema", "--observed", "--mapping"),
        ("schema", "events.jsonl"),
        ("schema", "--sample", "3"),
        ("skip",),
        ("test", "missing.yaml"),
        ("trace",),
        ("trace", "m-1", "--since", "yesterday"),
        ("verify", "--sample", "0"),
        ("verify", "--until", "tomorrow"),
    ],
    ids=" ".join,
)
def test_a_command_line_that_cannot_be_used_is_2(
    run: Run, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]
) -> None:
    """Before anybody is asked; standard output stays empty."""
    assert run(*argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err


class Page(BaseHTTPRequestHandler):
    """A server that is no pod, as behind a wrong port or a proxy: it has pages for people."""

    status = 200

    def do_GET(self) -> None:
        """One."""
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b"<html>Bad gateway</html>")

    do_POST = do_GET  # noqa: N815  # the base class's name

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@pytest.fixture(params=[200, 502])
def page(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """Its address, and the status of its answers."""
    server = HTTPServer(("127.0.0.1", 0), type("Page", (Page,), {"status": request.param}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", request.param
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.mark.parametrize("argv", OF_PODS, ids=" ".join)
def test_a_server_that_is_no_pod_is_told_from_one(
    run: Run, capsys: pytest.CaptureFixture[str], page: tuple[str, int], argv: tuple[str, ...]
) -> None:
    """1: nobody did it, whatever its status says."""
    url, status = page
    assert run(*argv, "--url", url) == 1
    assert capsys.readouterr().err == f"{url}: this is no pod: its answer is no JSON object (status {status})\n"
    assert run(*argv, "--url", url, "--json") == 1


@pytest.mark.parametrize("url", ["http://a b", "http://pod:port", "http://[::1"])
@pytest.mark.parametrize("argv", OF_PODS, ids=" ".join)
def test_an_address_that_nobody_can_have_gives_no_answer(
    run: Run, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], url: str
) -> None:
    """1, as for a pod that is gone."""
    assert run(*argv, "--url", url) == 1
    assert capsys.readouterr().err.startswith(f"{url}: no answer: ")
