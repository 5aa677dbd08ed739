"""What can become of an event: closed sets, shared by metrics, dead letters and the `map` command.

The words are a promise to dashboards and scripts; nothing here knows how an outcome comes about.
"""

from enum import StrEnum


class Outcome(StrEnum):
    """How an event was settled."""

    DELIVERED = "delivered"
    MERGED = "merged"
    SUPPRESSED = "suppressed"
    FILTERED = "filtered"
    SKIPPED = "skipped"
    DEAD_LETTERED = "dead_lettered"


class Reason(StrEnum):
    """Why; `NONE` for what was delivered or merged."""

    NONE = ""
    # suppressed
    STALE = "stale"
    UNCHANGED = "unchanged"
    REPEAT = "repeat"
    OPTED_OUT = "opted_out"
    # filtered
    INTEGRATIONS = "integrations"
    RULE = "rule"
    # skipped
    ANONYMOUS = "anonymous"
    NO_ROUTE = "no_route"
    UNKNOWN_TYPE = "unknown_type"
    TOMBSTONE = "tombstone"
    NO_TRAITS = "no_traits"
    # dead-lettered
    UNDECODABLE = "undecodable"
    INVALID_ID = "invalid_id"
    INVALID_EVENT = "invalid_event"
    INVALID_TRAITS = "invalid_traits"
    INVALID_PROPERTIES = "invalid_properties"
    HANDLER_ERROR = "handler_error"
    REFUSED = "refused"
    MISSING = "missing"
    FORBIDDEN = "forbidden"
    EXHAUSTED = "exhausted"
    BLOCKING = "blocking"
    OPERATOR = "operator"


class WarningKind(StrEnum):
    """What Pendo will take of a request, but not show."""

    OLD = "old"
    LARGE = "large"
    LONG_NAME = "long_name"
    NO_ACCOUNT = "no_account"
    IGNORED_VALUE = "ignored_value"
    NAME_COLLISION = "name_collision"


class EventType(StrEnum):
    """The `type` labels; `OTHER` is an event of a type we do not know, `NONE` a record that is no event."""

    IDENTIFY = "identify"
    GROUP = "group"
    TRACK = "track"
    PAGE = "page"
    SCREEN = "screen"
    ALIAS = "alias"
    DELETE = "delete"
    OTHER = "other"
    NONE = "none"
