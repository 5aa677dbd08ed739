"""What is noted while a group is scaled: when each thing was done, and what members said meanwhile. Values alone."""

from array import array
from dataclasses import dataclass, field

from tests.chaos.log import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a run is like.

    Attributes:
        rate: Records a second, all the time: more than one member can deliver, less than two can.
        alone_s: How long one member is left alone with it.
        together_s: How long four have it, once the backlog is gone.
        left_s: How long two have it.
        concurrency: `delivery.max_concurrency` of each: at 72 ms an answer, 36 are 500 requests a second.
        partitions: Of the topic.
        seed: Of the traffic and the endpoint.
    """

    rate: int = 800
    alone_s: float = 12.0
    together_s: float = 8.0
    left_s: float = 10.0
    concurrency: int = 36
    partitions: int = 12
    seed: int = 7

    def longer(self, times: float) -> "Options":
        """The same, with phases so many times as long."""
        return Options(
            rate=self.rate,
            alone_s=self.alone_s * times,
            together_s=self.together_s * times,
            left_s=self.left_s * times,
            concurrency=self.concurrency,
            partitions=self.partitions,
            seed=self.seed,
        )


@dataclass(frozen=True, slots=True)
class Span:
    """From a beginning to an end; monotonic clock."""

    began_s: float
    ended_s: float

    @property
    def took_s(self) -> float:
        """How long it is."""
        return self.ended_s - self.began_s


@dataclass(frozen=True, slots=True)
class Look:
    """What an autoscaler sees at a moment.

    Attributes:
        at_s: Monotonic clock.
        backlog: `backlog_records`, added up over all members that answered.
        partitions: Of how many partitions that is: in a rebalance, of less than all.
    """

    at_s: float
    backlog: float
    partitions: int


@dataclass(slots=True)
class Marks:
    """When what was done; monotonic clock.

    Attributes:
        began_s: The load began, with one member.
        out_s: Three more were started.
        rested_s: The metric said that the backlog was gone.
        in_s: Two were asked to end.
        quiet_s: The load ended.
        settled_s: All was committed.
        starts: By member: from its start until it was ready.
        ends: By member that was taken away: from SIGTERM until it had ended.
        owners: By partition, at the end: the members that say that it is theirs.
    """

    began_s: float = 0.0
    out_s: float = 0.0
    rested_s: float = 0.0
    in_s: float = 0.0
    quiet_s: float = 0.0
    settled_s: float = 0.0
    starts: dict[int, Span] = field(default_factory=dict)
    ends: dict[int, Span] = field(default_factory=dict)
    owners: dict[int, list[int]] = field(default_factory=dict)


@dataclass(kw_only=True)
class Scaling:
    """A run.

    Attributes:
        options: What it was like.
        evidence: For the oracle.
        sent_s: When each record was handed to Kafka's client, by its number.
        marks: When what was done.
        looks: In the order of time.
    """

    options: Options
    evidence: Evidence
    sent_s: "array[float]"
    marks: Marks
    looks: list[Look]
