"""The watch: files that are looked at from time to time, off the record's way.

Whether a secret's file or the pause switch has changed. What it finds is told to those who registered for it.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from consumer.config.load import Loaded, load
from consumer.config.secret_files import SECRET_RECHECK_S, SecretFiles
from consumer.errors import ConfigError
from consumer.log import get_logger, mask

log = get_logger(__name__)


class Watch:
    """Looks, and tells."""

    def __init__(self, loaded: Loaded) -> None:
        self._secret_files = SecretFiles(loaded.secret_files)
        self._on_secret: dict[str, Callable[[SecretStr], None]] = {}
        self._on_pause: Callable[[bool], None] = lambda _: None
        self._source_file = loaded.source
        self._environ = loaded.environ
        self._file_state = _state(loaded.source)

    def on_secret(self, key: str, use: Callable[[SecretStr], None]) -> None:
        """Call `use` when the file of this secret has changed."""
        self._on_secret[key] = use

    def on_pause(self, use: Callable[[bool], None]) -> None:
        """Call `use` with `delivery.paused` when the configuration file has changed."""
        self._on_pause = use

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(SECRET_RECHECK_S)
            for key, secret in self._secret_files.changed().items():
                mask([secret.get_secret_value()])
                use = self._on_secret.get(key)
                log.info("a secret's file changed", key=key, used="now" if use else "after a restart")
                if use:
                    use(secret)
            self._check_pause()

    def _check_pause(self) -> None:
        state = _state(self._source_file)
        if state == self._file_state:
            return
        self._file_state = state
        try:
            paused = load(self._source_file, self._environ).settings.delivery.paused
        except ConfigError as error:
            log.error(  # noqa: TRY400  # the problems say it all
                "the changed configuration is not valid; going on with the old", problems=error.problems
            )
            return
        log.info("the configuration file changed: of it only delivery.paused is used now", paused=paused)
        self._on_pause(paused)


def _state(file: Path | None) -> tuple[int, int] | None:
    """What changes when a file is written, or a Kubernetes volume swaps its link."""
    try:
        stat = file.stat() if file else None
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_ino) if stat else None
