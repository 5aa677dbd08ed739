"""The environment: variables come in, values by dotted key go out.

Variables without `__` are not ours: Kubernetes puts such into every pod that has a service named like ours.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from consumer.config.found import Found, Origin
from consumer.config.keys import FILE_SUFFIX, FILE_VARIABLES, OPTIONAL, PREFIX, VARIABLES, nearest
from consumer.config.secret_files import read_secret

CONFIG_VARIABLE: Final = f"{PREFIX}CONFIG"
_KUBERNETES_MARKS: Final = ("_SERVICE_", "_PORT")


def read_environment(environ: Mapping[str, str]) -> Found:
    """Everything that the environment says."""
    found = Found()
    for name in sorted(environ):
        if name.startswith(PREFIX) and name != CONFIG_VARIABLE:
            _read(name, environ, found)
    return found


def _read(name: str, environ: Mapping[str, str], found: Found) -> None:
    if "__" not in name:
        _foreign(name, found)
    elif name in VARIABLES:
        key, value = VARIABLES[name], environ[name]
        found.add(key, None if not value and key in OPTIONAL else value, Origin(name))
    elif name in FILE_VARIABLES:
        _from_file(name, environ, found)
    else:
        found.complain(Origin(name), f"unknown key{_near(name, (*VARIABLES, *FILE_VARIABLES))}")


def _foreign(name: str, found: Found) -> None:
    if not any(mark in name for mark in _KUBERNETES_MARKS):
        found.warnings.append(f"{name}: ignored, it names no key{_near(name, VARIABLES)}")


def _near(name: str, known: Iterable[str]) -> str:
    """A hint; the prefix, which all have in common, makes none of them near."""
    near = nearest(name.removeprefix(PREFIX).upper(), (variable.removeprefix(PREFIX) for variable in known))
    return near.replace("did you mean ", f"did you mean {PREFIX}")


def _from_file(name: str, environ: Mapping[str, str], found: Found) -> None:
    key, path = FILE_VARIABLES[name], Path(environ[name])
    found.origins[key] = Origin(name)
    plain = name.removesuffix(FILE_SUFFIX)
    if plain in environ:
        found.complain(Origin(name), f"{key}: {plain} is set too; keep one of the two")
        return
    try:
        found.add(key, read_secret(path), Origin(name))
        found.secret_files[key] = path
    except OSError as error:
        found.complain(Origin(name), f"{key}: the file {path} cannot be read: {error.strerror}")
    except ValueError as error:
        found.complain(Origin(name), f"{key}: the file {path} {error}")
