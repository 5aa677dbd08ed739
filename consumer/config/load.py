"""Loading: a file and the environment become settings, or a list of all that is wrong with them.

The environment goes before the file. Each problem is one line: where, which key, what is wrong, what is near. No line
ever quotes a value, because it may be a secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from consumer.config.checks import misfits
from consumer.config.environment import read_environment
from consumer.config.found import Found, Origin, Problem
from consumer.config.keys import SECRETS, SECTIONS, value_of
from consumer.config.settings import Settings
from consumer.config.validation import validate
from consumer.config.yaml_file import read_yaml
from consumer.errors import ConfigError

_PROXY_VARIABLES: Final = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The settings, and where they came from.

    Attributes:
        settings: All valid.
        secret_files: The secrets that come from files, by dotted key.
        warnings: One line each: what was given, and has no effect.
        source: The file, if there was one.
        environ: The environment that was read, to read both again.
    """

    settings: Settings
    secret_files: Mapping[str, Path]
    warnings: tuple[str, ...]
    source: Path | None
    environ: Mapping[str, str] = field(repr=False)

    def secrets(self) -> list[str]:
        """The values that no log line may show: all secrets, and the passwords of proxies."""
        values = (value_of(self.settings, key) for key in SECRETS)
        proxies = (self.settings.pendo.proxy, *map(self.environ.get, _PROXY_VARIABLES))
        return [value.get_secret_value() for value in values if isinstance(value, SecretStr)] + [
            password for proxy in proxies if proxy and (password := _password(proxy))
        ]


def _password(url: str) -> str | None:
    try:
        return unquote(urlsplit(url).password or "") or None
    except ValueError:
        return None


def load(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Read everything.

    Raises:
        ConfigError: With every problem that there is, one line each.
    """
    in_file = read_yaml(path) if path else Found()
    in_environment = read_environment(environ)
    values = in_file.values | in_environment.values
    origins = in_file.origins | in_environment.origins
    settings, wrong = validate(values)
    wrong |= _misfits(settings, {*wrong, *(key for key in origins if key not in values and key not in SECTIONS)})
    elsewhere = Origin(str(path) if path else "configuration")
    _refuse(
        [*in_file.problems, *in_environment.problems]
        + [Problem(origins.get(key, elsewhere), f"{key}: {message}") for key, message in wrong.items()]
    )
    return Loaded(
        settings=settings,
        secret_files=in_environment.secret_files,
        warnings=tuple(in_environment.warnings),
        source=path,
        environ=environ,
    )


def _misfits(settings: Settings, broken: set[str]) -> dict[str, str]:
    """What does not fit together, but for sections that are broken already: they would seem to lack what is wrong."""
    sections = {key.rpartition(".")[0] for key in broken}
    return {key: message for key, message in misfits(settings) if key.rpartition(".")[0] not in sections}


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise ConfigError([str(problem) for problem in sorted(problems, key=lambda problem: problem.origin)])
