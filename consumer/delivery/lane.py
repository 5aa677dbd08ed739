"""The lane: the queue of one visitor or account on one route, and the deliveries that stand in it.

A lane is a FIFO with at most one request in flight. A failing head stays the head: nothing is ever put back. In which
order lanes go is for `lanes`; nothing here knows the time.
"""

from consumer.delivery.poison import Failing, Trouble
from consumer.delivery.runs import Run
from consumer.delivery.ticket import Ticket
from consumer.outcomes import EventType
from consumer.pendo.requests import Request


class Delivery:
    """A request on its way.

    Attributes:
        request: What to send.
        ticket: The record that it came in.
        type: The event's type.
        index: The event's place in its record's array or batch; None when the value is one event.
        message_id: The event's messageId, for a dead letter's header.
        run: For a group with an account the run it stands in.
        trouble: What it has been through; None as long as it has had no answer.
    """

    __slots__ = ("index", "message_id", "request", "run", "ticket", "trouble", "type")

    def __init__(
        self, request: Request, ticket: Ticket, type_: EventType, index: int | None, message_id: str | None
    ) -> None:
        self.request = request
        self.ticket = ticket
        self.type = type_
        self.index = index
        self.message_id = message_id
        self.run: Run[Lane] | None = None
        self.trouble: Trouble | None = None


class Narrow:
    """How a lane goes until it is found out what Pendo refused: itself, another of the same call, or a part of it.

    Attributes:
        ids: So many may go in one call with it, itself included.
        doubtful: One of so many of its first deliveries is wrong: half of them go together, the older ones. A single
            one goes alone, and with its end the doubt is over for those behind it.
    """

    __slots__ = ("doubtful", "ids")

    def __init__(self, ids: int) -> None:
        self.ids = ids
        self.doubtful = 0

    @property
    def part(self) -> int:
        """How many of its first deliveries go together next; 0 for all that there are."""
        return self.doubtful // 2 or self.doubtful


class Lane:
    """The queue of one visitor or account on one route.

    Attributes:
        key: `visitor:ID` or `account:ID`.
        queue: Open deliveries; the head stays in it while it is in flight. A list: most lanes hold one, for which a
            deque would take six times the memory; the longest hold `max_length`, which is soon moved up by one.
        in_flight: How many of its first deliveries are on the wire: none or the head, in a call all that go together.
        due: When a failed head may be tried again; 0 when it has not failed. Seconds of the loop's clock.
        asked: Whether `due` was asked for, by `Retry-After` or a stall: the end of an outage does not cut it short.
        aside: Whether the head is set aside until the gate knows more about it.
        failing: What it has been through since its last success; None while it has not failed.
        narrow: How it goes after a call that carried it was refused; None as long as it goes with any others.
    """

    __slots__ = ("aside", "asked", "due", "failing", "in_flight", "key", "narrow", "queue")

    def __init__(self, key: str, first: Delivery) -> None:
        self.key = key
        self.queue = [first]
        self.in_flight = 0
        self.due = 0.0
        self.asked = False
        self.aside = False
        self.failing: Failing | None = None
        self.narrow: Narrow | None = None

    def __len__(self) -> int:
        """How many deliveries stand in it."""
        return len(self.queue)

    @property
    def crowding(self) -> int:
        """How many of them are to be waited for: none when it is hopeless, for then they are given up."""
        return 0 if self.failing is not None and self.failing.hopeless else len(self.queue)
