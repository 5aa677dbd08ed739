"""The status table of Pendo's side, line by line."""

from datetime import UTC, datetime, timedelta

import pytest
from multidict import CIMultiDict

from consumer.outcomes import Reason
from consumer.pendo.verdicts import (
    MAX_RETRY_AFTER_S,
    Accepted,
    Later,
    Locked,
    OptedOut,
    Refused,
    Stall,
    Verdict,
    retry_after_s,
    verdict_of,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _verdict(status: int, body: bytes = b"", **headers: str) -> Verdict:
    return verdict_of(status, CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}), body)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_delivery(status: int) -> None:
    """The body is ignored."""
    assert isinstance(_verdict(status, b"anything"), Accepted)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"<!DOCTYPE html><p>", "text/plain"), (b" \n<html>", ""), (b"{}", "text/html; charset=utf-8")],
)
def test_a_page_is_not_a_delivery(body: bytes, content_type: str) -> None:
    """A 200 with HTML comes from a proxy or a login form: our URL is wrong."""
    verdict = _verdict(200, body, Content_Type=content_type)
    assert isinstance(verdict, Locked)
    assert verdict.stall is Stall.ENDPOINT


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 404, 405, 407])
def test_a_wrong_endpoint_stalls(status: int) -> None:
    """No POST route of Pendo's addresses a record, so this is never the record's fault."""
    verdict = _verdict(status)
    assert isinstance(verdict, Locked)
    assert verdict.stall is Stall.ENDPOINT


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_credential_stalls(status: int) -> None:
    """The key is wrong, not the record."""
    verdict = _verdict(status)
    assert isinstance(verdict, Locked)
    assert verdict.stall is Stall.CREDENTIALS


def test_a_403_that_means_rate_limited_is_a_429() -> None:
    """Seen by third parties."""
    verdict = _verdict(403, b'{"error":"rateLimitExceeded"}', Retry_After="7")
    assert isinstance(verdict, Later)
    assert verdict.throttled
    assert verdict.after_s == 7


@pytest.mark.parametrize("status", [400, 413, 422, 501, 505, 402, 406, 411, 418, 431])
def test_a_bad_record_is_refused(status: int) -> None:
    """It will not heal, so it is not tried again."""
    verdict = _verdict(status)
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.REFUSED
    assert str(status) in verdict.message


@pytest.mark.parametrize("status", [408, 409, 410, 423, 425, 460, 500, 502, 503, 504, 520, 599])
def test_trouble_is_tried_later(status: int) -> None:
    """As Segment does for its destinations."""
    verdict = _verdict(status, Retry_After="3")
    assert isinstance(verdict, Later)
    assert not verdict.throttled
    assert verdict.after_s == 3


def test_too_many_requests_is_told_from_trouble() -> None:
    """Being asked to slow down is no outage."""
    verdict = _verdict(429)
    assert isinstance(verdict, Later)
    assert verdict.throttled
    assert verdict.after_s is None


def test_an_opted_out_visitor_is_no_error() -> None:
    """451 is an end, not a failure."""
    assert isinstance(_verdict(451), OptedOut)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", None),
        ("7", 7),
        (" 12 ", 12),
        ("99999", MAX_RETRY_AFTER_S),
        ("9" * 400, MAX_RETRY_AFTER_S),
        ((NOW + timedelta(seconds=30)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 30),
        ((NOW - timedelta(seconds=30)).strftime("%a, %d %b %Y %H:%M:%S GMT"), None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ((NOW + timedelta(days=9)).strftime("%a, %d %b %Y %H:%M:%S GMT"), MAX_RETRY_AFTER_S),
        ("soon", None),
        ("-3", None),
        ("", None),
        ("²", None),
    ],
)
def test_retry_after_is_read_and_capped(text: str, seconds: float | None) -> None:
    """Seconds or an HTTP date; what cannot be read is as if it were not there."""
    assert retry_after_s({"Retry-After": text}, NOW) == seconds
