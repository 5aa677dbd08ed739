"""The mapping file's rules as values: every key, what it may hold and what it means.

Plain values come in, frozen sections go out. The text below a key is its description in the JSON schema. What the rules
do is in the modules beside this one.
"""

import math
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from consumer.mapping.rules.coerce import Kind
from consumer.mapping.rules.naming import Template
from consumer.mapping.rules.parts import PARTS

TypeName = Literal["identify", "group", "track", "page", "screen", "alias", "delete"]

_SCALAR_SCHEMA: Final = {"type": ["string", "number", "boolean", "null"]}
_SCALARS_SCHEMA: Final = {"anyOf": [_SCALAR_SCHEMA, {"type": "array", "items": _SCALAR_SCHEMA, "minItems": 1}]}
_CONSTANT_TYPES: Final = ["string", "number", "boolean"]
_CONSTANT_SCHEMA: Final = {
    "type": [*_CONSTANT_TYPES, "array"],
    "items": {"type": _CONSTANT_TYPES},
}


def _listed(value: Any) -> Any:  # noqa: ANN401  # whatever was written
    """One value for a list of one."""
    return value if isinstance(value, list) else [value]


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _values(values: list[Any]) -> list[Any]:
    if not values or not all(value is None or _is_plain(value) for value in values):
        raise ValueError("must be text, a number, true, false or null, or a list of such")
    return values


def _constant(value: Any) -> Any:  # noqa: ANN401  # whatever was written
    if not all(map(_is_plain, _listed(value))):
        raise ValueError("must be text, a number, true or false, or a list of such")
    return value


def _path(value: str) -> str:
    if not all(part.strip() for part in value.split(".")):
        raise ValueError("must be a name, or names joined by dots")
    return value


def _account_path(value: str) -> str:
    part, _, rest = value.partition(".")
    if part not in PARTS or not rest:
        raise ValueError("must begin with traits., properties. or context.")
    return _path(value)


def _template(value: str) -> str:
    Template(value)
    return _not_blank(value)


Text = Annotated[str, AfterValidator(_not_blank)]
Path = Annotated[str, AfterValidator(_path)]
Texts = Annotated[list[Text], BeforeValidator(_listed, str | list[str])]
Paths = Annotated[list[Path], BeforeValidator(_listed, str | list[str])]
Values = Annotated[list[Any], BeforeValidator(_listed), AfterValidator(_values), WithJsonSchema(_SCALARS_SCHEMA)]
Constant = Annotated[Any, AfterValidator(_constant), WithJsonSchema(_CONSTANT_SCHEMA)]
AccountPaths = Annotated[list[Annotated[str, AfterValidator(_account_path)]], BeforeValidator(_listed, str | list[str])]
Templates = Annotated[list[Annotated[str, AfterValidator(_template)]], BeforeValidator(_listed, str | list[str])]
Types = Annotated[list[TypeName], BeforeValidator(_listed, TypeName | list[TypeName])]


class Section(BaseModel):
    """What all sections have in common."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, values: Any) -> Any:  # noqa: ANN401  # whatever was written
        """A key below which everything is commented out is as good as absent."""
        return {k: v for k, v in values.items() if v is not None} if isinstance(values, dict) else values


class Condition(Section):
    """Which events are meant: all that is written must hold, of a list one."""

    name: Text | None = None
    """What `map --explain` calls the rule."""
    types: Types = Field(default_factory=list)
    """Types of events; without it all."""
    events: Texts = Field(default_factory=list)
    """Names of tracks, pages and screens as they came, or globs with * and ?."""
    context: dict[Path, Values] = Field(default_factory=dict)
    """By dotted path in the event's context: the value, or a list; text may be a glob, null also means absent."""
    traits: dict[Path, Values] = Field(default_factory=dict)
    """Likewise in its traits, or for other types than identify and group in those of its context."""
    properties: dict[Path, Values] = Field(default_factory=dict)
    """Likewise in its properties."""

    @model_validator(mode="after")
    def _with_something(self) -> "Condition":
        if not (self.types or self.events or self.context or self.traits or self.properties):
            raise ValueError("needs types, events, context, traits or properties: without any it means every event")
        return self


class PersonalPaths(Section):
    """Where personal data stand: names, dotted paths or globs, whatever their case."""

    traits: Paths = Field(default_factory=list)
    """In traits, those of the context included."""
    properties: Paths = Field(default_factory=list)
    """In properties."""
    context: Paths = Field(default_factory=list)
    """In the context, like ip or page.url."""


class PersonalData(Section):
    """What must not reach Pendo as it came, whatever other rules do; it goes before them."""

    drop: PersonalPaths = PersonalPaths()
    """Left out."""
    hash: PersonalPaths = PersonalPaths()
    """Replaced by its SHA-256 in hexadecimal; what is easily guessed can be guessed from it."""


class Names(Section):
    """Names of events."""

    track: dict[Text, Text] = Field(default_factory=dict)
    """Another name, by the name that came."""
    page: Templates = Field(default_factory=list)
    """Templates with {name}, {category} or {properties.NAME}: the first of which every place has text, else Segment's
    own name."""
    screen: Templates = Field(default_factory=list)
    """Likewise."""


class FieldRules(Section):
    """What becomes of traits or properties, in this order; each rule sees the names that the one before it left."""

    flatten: bool = False
    """Whether values inside objects get names of their own, like address_city; Pendo ignores objects."""
    drop: Texts = Field(default_factory=list)
    """Names or globs that are left out."""
    rename: dict[Text, Text] = Field(default_factory=dict)
    """Another name, by the name."""
    coerce: dict[Text, Kind] = Field(default_factory=dict)
    """By name: text, number, integer, boolean or date; what cannot be stays as it is."""
    keep: Texts = Field(default_factory=list)
    """Names or globs: all others are left out, but for a property groupId, the account. Empty: all are kept."""
    constants: dict[Text, Constant] = Field(default_factory=dict)
    """Fields that are set, whatever the event says."""


class TypeFields(Section):
    """By type: what becomes of traits (identify, group) or properties (track, page, screen)."""

    identify: FieldRules = FieldRules()
    """Traits of visitors."""
    group: FieldRules = FieldRules()
    """Traits of accounts."""
    track: FieldRules = FieldRules()
    """Properties of tracks."""
    page: FieldRules = FieldRules()
    """Properties of pages."""
    screen: FieldRules = FieldRules()
    """Properties of screens."""


class Override(Condition):
    """What goes for some events only: what is written here takes the place of the same key for their type."""

    event: Text | None = None
    """The event's name at Pendo."""
    fields: FieldRules = FieldRules()
    """What becomes of their traits or properties."""


class MappingFile(Section):
    """All rules."""

    only: list[Condition] = Field(default_factory=list)
    """Events that are for Pendo: of a type that a condition is about, those for which none holds are filtered."""
    deny: list[Condition] = Field(default_factory=list)
    """Events that are not for Pendo: those for which one holds are filtered."""
    personal_data: PersonalData = PersonalData()
    """What must not reach Pendo as it came."""
    account: AccountPaths = Field(default_factory=list)
    """Where the account of group, track, page and screen stands, like traits.company_id: the first that holds an id."""
    names: Names = Names()
    """Other names for tracks, pages and screens."""
    fields: TypeFields = TypeFields()
    """What becomes of traits and properties, by type."""
    overrides: list[Override] = Field(default_factory=list)
    """What goes for some events only; the first whose condition holds."""
