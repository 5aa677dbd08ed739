"""`pause`, `resume`, `skip` and `lag` where no pod answers."""

import pytest

from consumer.cli import execute
from consumer.sandbox.children import free_port


@pytest.mark.parametrize("position", ["", "nonsense", "t-0"])
def test_what_is_no_position_is_a_usage_error(position: str, capsys: pytest.CaptureFixture[str]) -> None:
    """2, before anybody is asked."""
    assert execute(["skip", position]) == 2
    assert "TOPIC-PARTITION@OFFSET" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["pause"], ["resume"], ["skip", "t-0@1"]])
def test_a_pod_that_does_not_answer_is_told_and_the_status_says_so(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """1: nobody did it."""
    url = f"http://127.0.0.1:{free_port()}"
    assert execute([*argv, "--url", url]) == 1
    assert f"{url}: no answer" in capsys.readouterr().err
    assert execute([*argv, "--url", url, "--json"]) == 1
    assert '"status": 0' in capsys.readouterr().out


def test_an_address_that_is_none_is_a_configuration_error(capsys: pytest.CaptureFixture[str]) -> None:
    """78, with what is wrong."""
    assert execute(["pause", "--url", "file:///etc/passwd"]) == 78
    assert "must begin with http://" in capsys.readouterr().err


def test_lag_without_kafka_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """1, in one line."""
    monkeypatch.setenv("PENDO_CONSUMER_KAFKA__BOOTSTRAP_SERVERS", f"127.0.0.1:{free_port()}")
    assert execute(["lag", "--no-rate"]) == 1
    assert "Kafka was asked for" in capsys.readouterr().err
