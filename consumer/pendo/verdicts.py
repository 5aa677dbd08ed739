"""The verdict: what an answer of Pendo means for the one request it answers.

An answer's status, headers and body go in, one member of a closed set comes out. The whole
status table stands here and nowhere else; what is done about a verdict is decided in `delivery/`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

from consumer.outcomes import Reason

MAX_RETRY_AFTER_S: Final = 300.0
"""Segment caps `Retry-After` at this when it delivers; a longer one would let a typo of the server stop a lane."""
RATE_LIMITED: Final = b"rateLimitExceeded"
"""In the body of a 403 it means 429 (seen by third parties)."""


class Stall(StrEnum):
    """What an operator must mend."""

    CREDENTIALS = "credentials"
    ENDPOINT = "endpoint"


class Accepted:
    """Pendo took the request."""

    __slots__ = ()


class OptedOut:
    """The visitor does not want to be known; nothing is to be delivered."""

    __slots__ = ()


class Refused:
    """This request will never be accepted.

    Attributes:
        reason: The dead letter's reason.
        message: What Pendo answered, in our words.
    """

    __slots__ = ("message", "reason")

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason = reason
        self.message = message


class Later:
    """Not now.

    Attributes:
        after_s: What `Retry-After` asked for, capped; None when it did not.
        throttled: Whether Pendo asks us to slow down, rather than being in trouble.
    """

    __slots__ = ("after_s", "throttled")

    def __init__(self, after_s: float | None = None, *, throttled: bool = False) -> None:
        self.after_s = after_s
        self.throttled = throttled


class Locked:
    """Not this request is wrong, but our credential or URL.

    Attributes:
        stall: Which of the two.
    """

    __slots__ = ("stall",)

    def __init__(self, stall: Stall) -> None:
        self.stall = stall


Verdict = Accepted | OptedOut | Refused | Later | Locked

ACCEPTED: Final = Accepted()
OPTED_OUT: Final = OptedOut()
NO_ANSWER: Final = Later()
_CREDENTIALS: Final = Locked(Stall.CREDENTIALS)
ENDPOINT: Final = Locked(Stall.ENDPOINT)

_UNAUTHORIZED: Final = frozenset({401, 403})
_NO_SUCH_ENDPOINT: Final = frozenset({404, 405, 407})
"""407 comes from a proxy that wants a login; Pendo never saw the request."""
_LATER: Final = frozenset({408, 409, 410, 423, 425, 460})
_THROTTLED: Final = 429
_OPTED_OUT: Final = 451
_BEFORE_HTML: Final = frozenset(bytes((byte,)) for byte in b"< \t\n\v\f\r")
"""What a page may begin with; a request that was taken is answered with nothing, or with JSON."""
_HOPELESS: Final = frozenset({501, 505})


def verdict_of(status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
    """Judge an answer by the status table (Segment's delivery rules, and what Pendo documents).

    Args:
        status: The HTTP status.
        headers: Case-insensitive.
        body: At least its beginning.
    """
    if 200 <= status < 300:  # noqa: PLR2004  # any 2xx is a success
        return ENDPOINT if is_html(headers, body) else ACCEPTED
    if status == _THROTTLED or (status in _UNAUTHORIZED and RATE_LIMITED in body):
        return Later(retry_after_s(headers, datetime.now(UTC)), throttled=True)
    if status in _UNAUTHORIZED:
        return _CREDENTIALS
    if status in _NO_SUCH_ENDPOINT or status < 400:  # noqa: PLR2004  # 1xx and 3xx are never followed
        return ENDPOINT
    if status == _OPTED_OUT:
        return OPTED_OUT
    if status in _LATER or (status >= 500 and status not in _HOPELESS):  # noqa: PLR2004
        return Later(retry_after_s(headers, datetime.now(UTC)))
    return Refused(Reason.REFUSED, f"Pendo answered {status}")


def is_html(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a page answered: a proxy, a captive portal or a login form, but not Pendo's API."""
    if "html" in headers.get("Content-Type", "").lower():
        return True
    return body[:1] in _BEFORE_HTML and body[:256].lstrip().lower().startswith((b"<!doctype", b"<html"))


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that `Retry-After` asks for, given as seconds or as an HTTP date; None without a usable one.

    Zero, or a date that has passed by our clock, is not usable: it would mean to try again without any delay.
    """
    text = headers.get("Retry-After", "").strip()
    try:
        seconds = float(text) if text.isascii() and text.isdigit() else _seconds_until(text, now)
    except (ValueError, OverflowError):
        return None
    return min(seconds, MAX_RETRY_AFTER_S) if seconds > 0 else None


def _seconds_until(http_date: str, now: datetime) -> float:
    until = parsedate_to_datetime(http_date)
    return ((until if until.tzinfo else until.replace(tzinfo=UTC)) - now).total_seconds()
