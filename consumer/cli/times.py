"""Times on a command line: an ISO time, or so long ago; and told again."""

import re
import time
from datetime import UTC, datetime
from typing import Final

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def since(text: str) -> int:
    """Milliseconds since the epoch; what lies before it is the epoch, as Kafka knows no earlier time.

    Raises:
        ValueError: It is no time.
    """
    ago = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if ago:
        return max(0, int((time.time() - int(ago[1]) * _UNITS_S[ago[2]]) * 1000))
    at = datetime.fromisoformat(text)
    return max(0, int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000))


def moment(at_ms: int) -> str:
    """A time as people read it, to the second."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
