"""Logging: one line each, to standard error, with no secret in it and no flood."""

import json
import logging
from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import quote

import pytest
import structlog

from consumer import log
from consumer.log import REPEAT_INTERVAL_S, Masking, Repeats, configure, get_logger, mask

LIBRARIES = ("aiokafka", "aiokafka.conn", "aiohttp", "asyncio")


@pytest.fixture(autouse=True)
def _untouched_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging is global to the process: give it back as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    monkeypatch.setattr(log, "_MASKING", Masking())
    yield
    root.handlers, root.level = handlers, level
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_is_json_with_time_level_logger_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """What a log store needs to find it again."""
    configure("info", "json")
    get_logger("consumer.kafka").info("polled", records=3, partitions={1: "a"}, error=ValueError("x"))
    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "consumer.kafka",
        "event": "polled",
        "records": 3,
        "partitions": {"1": "a"},
        "error": "x",
    }


def test_lines_below_the_level_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Ours, and those of the standard library alike."""
    configure("warning", "json")
    get_logger("consumer").info("no")
    logging.getLogger("other").info("no")
    get_logger("consumer").warning("yes")
    assert [line["event"] for line in lines(capsys)] == ["yes"]


def test_libraries_log_through_the_same_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    """One format for a whole process."""
    configure("info", "json")
    logging.getLogger("aiokafka.client").warning("no connection to %s", "broker:9092")
    (line,) = lines(capsys)
    assert (line["logger"], line["level"], line["event"]) == (
        "aiokafka.client",
        "warning",
        "no connection to broker:9092",
    )


@pytest.mark.parametrize("library", ["aiokafka", "aiohttp.access", "asyncio"])
def test_libraries_are_quiet_below_warning_unless_debugging(capsys: pytest.CaptureFixture[str], library: str) -> None:
    """Joins and access logs are noise until somebody asks."""
    configure("info", "json")
    logging.getLogger(library).info("no")
    configure("debug", "json")
    logging.getLogger(library).debug("yes")
    assert [line["event"] for line in lines(capsys)] == ["yes"]


def test_raw_requests_and_answers_of_kafka_are_never_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """At debug aiokafka's connections log logins and whole records."""
    configure("debug", "json")
    logging.getLogger("aiokafka.conn").debug("Response: FetchResponse(%r)", b"personal data")
    assert lines(capsys) == []


def test_the_same_complaint_comes_once_an_interval_with_the_count_of_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """While brokers are away, a library complains many times a second."""
    configure("info", "json")
    now = 100.0
    (handler,) = logging.getLogger().handlers
    handler.filters = [Repeats(lambda: now)]
    aiokafka = logging.getLogger("aiokafka.client")
    for attempt in range(50):
        aiokafka.warning("no connection, attempt %s", attempt)
    aiokafka.warning("something else")
    now += REPEAT_INTERVAL_S
    aiokafka.warning("no connection, attempt %s", 50)
    assert [(line["event"], line.get("suppressed")) for line in lines(capsys)] == [
        ("no connection, attempt 0", None),
        ("something else", None),
        ("no connection, attempt 50", 49),
    ]


def test_our_own_lines_are_never_held_back(capsys: pytest.CaptureFixture[str]) -> None:
    """Each says which record."""
    configure("info", "json")
    for offset in range(3):
        get_logger("consumer.worker").warning("dead-lettered", position=f"t-0@{offset}")
    assert len(lines(capsys)) == 3


def test_templates_without_end_do_not_fill_the_memory() -> None:
    """A library may put values into its message itself."""
    repeats = Repeats(lambda: 0.0)
    for number in range(5000):
        repeats.filter(logging.LogRecord("library", logging.WARNING, "", 0, f"template {number}", (), None))
    assert len(repeats._seen) <= 1000


SECRET = 'k/e"y ü'


def _fail() -> None:
    raise ValueError(SECRET)


@pytest.mark.parametrize("format_", ["json", "text"])
def test_a_known_secret_is_masked_wherever_it_stands(
    capsys: pytest.CaptureFixture[str], format_: Literal["json", "text"]
) -> None:
    """The last defence: text, nested values, objects, URLs, exceptions and what libraries say."""
    configure("info", format_)
    mask([SECRET])
    logger = get_logger("consumer")
    logger.warning("a %s", SECRET, url=f"https://h/{quote(SECRET, safe='')}", nested={SECRET: [(SECRET,)]})
    logger.warning("b", request={"raw": repr(SECRET)}, error=ValueError(SECRET), data=SECRET.encode())
    try:
        _fail()
    except ValueError:
        logger.exception("c")
        logging.getLogger("aiokafka").exception("d %s", SECRET)
    shown = capsys.readouterr().err
    assert shown.count("***") >= 9
    for form in (SECRET, quote(SECRET, safe=""), json.dumps(SECRET)[1:-1], repr(SECRET.encode())[2:-1]):
        assert form not in shown


def test_a_rotated_secret_and_the_one_before_are_both_masked(capsys: pytest.CaptureFixture[str]) -> None:
    """The old one may still be valid for a while."""
    configure("info", "json")
    mask(["old-key", "old-key-and-more"])
    mask(["new-key", ""])
    get_logger("consumer").info("x", keys="old-key new-key old-key-and-more")
    assert lines(capsys)[0]["keys"] == "*** *** ***"


def test_a_secret_that_is_a_word_does_not_break_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Level, logger and time are ours and hold no secret."""
    configure("info", "json")
    mask(["info", "1", '"'])
    get_logger("consumer").info("x", count=11, flag=True)
    (line,) = lines(capsys)
    assert (line["level"], line["count"], line["flag"]) == ("info", 11, True)


def test_text_that_is_no_unicode_is_still_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON lets lone surrogates through; a line must not fail for them."""
    configure("info", "json")
    get_logger("consumer").info("x", name="\ud800")
    assert lines(capsys)[0]["name"] == "\\ud800"


def test_without_a_format_a_file_gets_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A terminal would get text."""
    configure("info", None)
    get_logger("consumer").info("x")
    assert lines(capsys)[0]["event"] == "x"
