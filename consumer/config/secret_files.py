"""Secrets that live in files: reading one, and noticing that one has changed.

Paths come in, secrets go out; who uses them is told by whoever asks. Kubernetes replaces mounted secrets by swapping a
symbolic link, so a file may be away, or empty, for a moment: that is no change.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from consumer.config.values import clean_secret

SECRET_RECHECK_S: Final = 5.0
"""How often to look; the files are small, and a rotated key is worth little delay."""


def read_secret(path: Path) -> SecretStr:
    """The file's secret, without the line break at its end.

    Raises:
        OSError: The file cannot be read.
        ValueError: What it holds can be no secret; the message goes with the file's name before it.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    return clean_secret(SecretStr(text.rstrip("\r\n")))


class SecretFiles:
    """The files that hold secrets, and what they held when last looked at."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        """Look at the files for the first time.

        Args:
            files: By dotted key.
        """
        self._files = files
        self._seen = {key: secret for key, path in files.items() if (secret := _current(path))}

    def changed(self) -> dict[str, SecretStr]:
        """The secrets that are others than at the last call, by dotted key."""
        current = {key: secret for key, path in self._files.items() if (secret := _current(path))}
        changed = {key: secret for key, secret in current.items() if secret != self._seen.get(key)}
        self._seen |= changed
        return changed


def _current(path: Path) -> SecretStr | None:
    try:
        return read_secret(path)
    except (OSError, ValueError):
        return None
