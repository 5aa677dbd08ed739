"""Which visitor an event belongs to, and what happens when it names none.

In come an event's fields, out comes the visitor's id or the event's end. It must not know the event's type nor
its route.
"""

from typing import Any, Final, Literal

from consumer.errors import RejectedError
from consumer.mapping.ids import VISITOR_PREFIX, flaw, is_absent, pendo_id
from consumer.mapping.result import Ended
from consumer.outcomes import Outcome, Reason

Anonymous = Literal["skip", "visitor"]
"""What becomes of an event that carries an anonymousId alone."""

ANONYMOUS: Final = Ended(Outcome.SKIPPED, Reason.ANONYMOUS)


def visitor_of(fields: dict[str, Any], anonymous: Anonymous) -> str | Ended:
    """Return the visitor's id as text, or how an anonymous event ends.

    Raises:
        RejectedError: The event names nobody, or in a way that Pendo does not take.
    """
    user_id = fields.get("userId")
    visitor = pendo_id(user_id)
    if visitor is not None:
        return visitor
    if not is_absent(user_id):
        raise RejectedError(Reason.INVALID_ID, f"userId {flaw(user_id)}")
    return _anonymous_visitor(fields, anonymous)


def _anonymous_visitor(fields: dict[str, Any], anonymous: Anonymous) -> str | Ended:
    anonymous_id = pendo_id(fields.get("anonymousId"))
    if anonymous_id is None:
        flaws = " and ".join(f"{key} {flaw(fields.get(key))}" for key in ("userId", "anonymousId"))
        raise RejectedError(Reason.INVALID_ID, flaws)
    return ANONYMOUS if anonymous == "skip" else VISITOR_PREFIX + anonymous_id


def is_anonymous(fields: dict[str, Any], visitor: str) -> bool:
    """Tell whether `visitor_of` took this visitor from the anonymousId."""
    return visitor.startswith(VISITOR_PREFIX) and pendo_id(fields.get("userId")) is None


def sender_of(fields: dict[str, Any]) -> str:
    """Whom an event names, anonymous or not; blank for nobody. It tells apart events of one account."""
    return pendo_id(fields.get("userId")) or pendo_id(fields.get("anonymousId")) or ""


def account_of_fact(fields: dict[str, Any], properties: dict[str, Any] | None) -> str | None:
    """The account of a track, page or screen: `properties.groupId`, else the context's; None where Pendo takes none.

    One of its own that Pendo does not take is not replaced: it does not say that there is none.
    """
    group_id = properties.get("groupId") if properties else None
    if group_id is None:
        context = fields.get("context")
        group_id = context.get("groupId") if isinstance(context, dict) else None
    return pendo_id(group_id)


def account_of(fields: dict[str, Any]) -> str:
    """Return a group's account id as text.

    Raises:
        RejectedError: There is none that Pendo takes.
    """
    group_id = fields.get("groupId")
    account = pendo_id(group_id)
    if account is None:
        raise RejectedError(Reason.INVALID_ID, f"groupId {flaw(group_id)}")
    return account
