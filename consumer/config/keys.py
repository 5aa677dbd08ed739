"""The table of keys, read off the settings: dotted names, environment variables, secrets, the nearest right name.

The settings' classes come in; names go out. It knows no value.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from consumer.config.settings import Settings

PREFIX: Final = "PENDO_CONSUMER_"
FILE_SUFFIX: Final = "_FILE"


def _walk(section: type[BaseModel], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in section.model_fields.items():
        yield f"{path}{name}", field
        if inner := _section_of(field):
            yield from _walk(inner, f"{path}{name}.")


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


_FIELDS: Final = dict(_walk(Settings))
SECTIONS: Final = frozenset(name for name, field in _FIELDS.items() if _section_of(field))
KEYS: Final = tuple(name for name in _FIELDS if name not in SECTIONS)
SECRETS: Final = frozenset(key for key in KEYS if SecretStr.__name__ in str(_FIELDS[key].annotation))
OPTIONAL: Final = frozenset(key for key in KEYS if _FIELDS[key].default is None)
"""Keys that may be none; an empty environment variable says so."""


def variable(key: str) -> str:
    """The environment variable of a key."""
    return PREFIX + key.upper().replace(".", "__")


VARIABLES: Final[Mapping[str, str]] = {variable(key): key for key in KEYS}
FILE_VARIABLES: Final[Mapping[str, str]] = {variable(key) + FILE_SUFFIX: key for key in KEYS if key in SECRETS}


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?`, or nothing when no known name is near."""
    best = get_close_matches(name, list(known), n=1)
    return f"; did you mean {best[0]}?" if best else ""


def value_of(settings: Settings, key: str) -> object:
    """The value of a dotted key."""
    value: object = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value


def default_of(key: str) -> object:
    """The default of a dotted key."""
    return _FIELDS[key].get_default(call_default_factory=True)
