"""Times on a command line: an ISO time, or so long ago."""

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
    moment = datetime.fromisoformat(text)
    return max(0, int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000))
