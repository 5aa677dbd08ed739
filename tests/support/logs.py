"""Logging as it was: commands that run in the tests' process configure it for all of the process."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


@contextmanager
def restored() -> Iterator[None]:
    """Put back handlers, levels and structlog's defaults at the end."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers, root.level = handlers, level
        for name in ("aiokafka", "aiokafka.conn", "aiohttp", "asyncio"):
            logging.getLogger(name).setLevel(logging.NOTSET)
        structlog.reset_defaults()
