"""Logging: one pipeline for our own events and for those of the libraries, one line each.

Always to standard error: standard output belongs to the results of `map`, `check` and `schema`, which scripts read, and
what a command logs must not depend on which command it is. Logging is the one thing that is global to the process, as
it is in the standard library.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final, Literal
from urllib.parse import quote

import orjson
import structlog
from structlog.typing import Processor

REPEAT_INTERVAL_S: Final = 10.0
"""While brokers are away, aiokafka says so many times a second; one line in so many seconds tells as much."""
_MAX_TEMPLATES: Final = 1000
"""Libraries log a few dozen message templates; one that formats its own text must not fill the memory."""
_LIBRARIES: Final = ("aiokafka", "aiohttp", "asyncio")
_RAW_BYTES: Final = ("aiokafka.conn",)
"""Loggers that show requests and answers as they are, logins and records included: at debug too, not below info."""
_OURS: Final = ("consumer", "__main__")
_SAFE_FIELDS: Final = frozenset({"timestamp", "level", "logger"})
_MASKED: Final = "***"

Clock = Callable[[], float]


class Masking:
    """The last defence: no value of a known secret leaves in a line, whoever put it there."""

    def __init__(self) -> None:
        self._secrets: list[str] = []

    def add(self, secrets: Iterable[str]) -> None:
        """Mask these too, also as they stand in URLs and in quoted text; what was known stays masked."""
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        # The longest first: a secret may be a part of another.
        self._secrets = sorted(forms.union(self._secrets), key=len, reverse=True)

    def __call__(self, _: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        """As a processor: the event with every text in it masked."""
        return {key: value if key in _SAFE_FIELDS else self._clean(value) for key, value in event.items()}

    def _clean(self, value: Any) -> Any:  # noqa: ANN401  # a log line's values are anything
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {self._text(str(key)): self._clean(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(inner) for inner in value]
        return self._text(str(value))

    def _text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _MASKED)
        # What is no Unicode, orjson refuses.
        return text.encode("utf-8", "backslashreplace").decode()


def _forms(secret: str) -> tuple[str, ...]:
    """A secret as it is, in a URL, quoted, and as quoted bytes."""
    return secret, quote(secret, safe=""), repr(secret)[1:-1], repr(secret.encode())[2:-1]


class Repeats(logging.Filter):
    """Lets a library say the same thing once in `REPEAT_INTERVAL_S`, with the count of what was held back."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this line passes."""
        if record.name.partition(".")[0] in _OURS:
            return True
        key, now = (record.name, str(record.msg)), self._clock()
        since, suppressed = self._seen.get(key, (now - REPEAT_INTERVAL_S, 0))
        if now - since < REPEAT_INTERVAL_S:
            self._seen[key] = (since, suppressed + 1)
            return False
        if len(self._seen) >= _MAX_TEMPLATES:
            self._seen.clear()
        self._seen[key] = (now, 0)
        record.suppressed = suppressed
        return True


_MASKING: Final = Masking()


def mask(secrets: Iterable[str]) -> None:
    """Show these secrets in no line from now on; call it at the start, and when one has changed."""
    _MASKING.add(secrets)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module, which hands over its `__name__`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def configure(level: str, format_: Literal["json", "text"] | None) -> None:
    """Send all logging of the process to standard error.

    Args:
        level: Least severity that is shown.
        format_: Without it text on a terminal, else JSON.
    """
    text = sys.stderr.isatty() if format_ is None else format_ == "text"
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Repeats())
    handler.setFormatter(_formatter(text=text))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    _quiet_libraries(debug=level == "debug")
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_stamps(),
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _stamps() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _formatter(*, text: bool) -> logging.Formatter:
    renderer: Processor = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if text else _json_line
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_stamps(), _add_suppressed],
        processors=[
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _MASKING,
            renderer,
        ],
    )


def _add_suppressed(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """How many lines like this one were held back since the last."""
    if suppressed := getattr(event["_record"], "suppressed", 0):
        event["suppressed"] = suppressed
    return event


def _json_line(_: object, __: str, event: Mapping[str, Any]) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _quiet_libraries(*, debug: bool) -> None:
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.NOTSET if debug else logging.WARNING)
    for name in _RAW_BYTES:
        logging.getLogger(name).setLevel(logging.INFO if debug else logging.NOTSET)
