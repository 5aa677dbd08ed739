"""Every metric, in one list: name, kind, meaning and, where one can act on it, the remedy.

Parts of the service keep plain integers and yield them as samples when somebody scrapes; nothing is formatted on a
record's way. Names and labels are a promise to dashboards and alerts.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

PREFIX: Final = "pendo_consumer_"
DURATION_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
AGE_BUCKETS_S: Final = (
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    *(60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0),
)


class Kind(Enum):
    """Prometheus' kinds that we use."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: Without the prefix.
        kind: Counter, gauge or histogram.
        help: What it means, and what to do.
        labels: From closed sets, never an id.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


class Histogram:
    """Observations in buckets; an `observe` is a bisection and two additions."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def observe_all(self, values: Collection[float]) -> None:
        """Count several values: sorted, and each bound looked for among them, a large part of a look for each less."""
        ordered = sorted(values)
        before = 0
        for number, bound in enumerate(self.bounds):
            within = bisect_right(ordered, bound, before)
            self.counts[number] += within - before
            before = within
        self.counts[-1] += len(ordered) - before
        self.sum += sum(ordered)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one metric, at the moment of a scrape."""

    metric: Metric
    value: float | Histogram
    labels: tuple[str, ...] = ()


EVENTS_RECEIVED = Metric(
    "events_received_total",
    Kind.COUNTER,
    "Events read from Kafka; what is read again after a rebalance counts again.",
    ("type",),
)
EVENTS_SETTLED = Metric(
    "events_settled_total",
    Kind.COUNTER,
    "Events that came to their end, by outcome and reason. dead_lettered: look into the dead-letter topic.",
    ("type", "outcome", "reason"),
)
EVENTS_RELEASED = Metric(
    "events_released_total",
    Kind.COUNTER,
    "Open events handed back to Kafka at a rebalance or stop, or since a log was made anew; they are read again.",
)
EVENTS_OPEN = Metric("events_open", Kind.GAUGE, "Events admitted and not settled. At max_open_events reading pauses.")
EVENTS_UNACCOUNTED = Metric(
    "events_unaccounted",
    Kind.GAUGE,
    "received - settled - released - open, counted from the tickets. Always 0; anything else is a bug: report it.",
)
OPEN_BYTES = Metric("open_bytes", Kind.GAUGE, "Bytes that open records hold. At max_open_bytes reading pauses.")
REQUESTS = Metric(
    "requests_total",
    Kind.COUNTER,
    "Requests to Pendo by HTTP status; timeout and connection: no answer came, look at the network or Pendo's status.",
    ("route", "status"),
)
REQUESTS_IN_FLIGHT = Metric("requests_in_flight", Kind.GAUGE, "Requests on the wire.", ("route",))
REQUEST_DURATION = Metric("request_duration_seconds", Kind.HISTOGRAM, "How long Pendo takes to answer.", ("route",))
DELIVERY_AGE = Metric(
    "delivery_age_seconds",
    Kind.HISTOGRAM,
    "From a record's arrival in Kafka to Pendo's acceptance. Growing: see backlog_records and gate_state.",
    ("type",),
)
LAG_RECORDS = Metric("lag_records", Kind.GAUGE, "Records beyond the committed offset.", ("topic", "partition"))
BACKLOG_RECORDS = Metric(
    "backlog_records",
    Kind.GAUGE,
    "Records not settled: end - position + open. Scale on this.",
    ("topic", "partition"),
)
GATE_STATE = Metric(
    "gate_state",
    Kind.GAUGE,
    "0 open, 1 circuit (Pendo unreachable; heals by itself), 2 stalled (see stalled), 3 flood.",
    ("route",),
)
CONCURRENCY_LIMIT = Metric("concurrency_limit", Kind.GAUGE, "Requests that may be in flight at once.", ("route",))
STALLED = Metric(
    "stalled",
    Kind.GAUGE,
    "1 while nothing is delivered. credentials: replace the key. endpoint: correct region, URL or proxy.",
    ("route", "reason"),
)
SENDING_HELD = Metric(
    "sending_held",
    Kind.GAUGE,
    "1 while no request is started at all. paused: by the configuration. operator: by the admin API. "
    "rebalance: partitions change hands. "
    "asleep: the process stood still, and has to see first whether its partitions are still its own.",
    ("reason",),
)
LANES_SET_ASIDE = Metric(
    "lanes_set_aside",
    Kind.GAUGE,
    "Visitors whose next event was refused in a flood stop, or met 401 or 403, and waits for what others are answered.",
    ("route",),
)
BLOCKED_SECONDS = Metric(
    "blocked_seconds",
    Kind.GAUGE,
    "How long the same record has been the oldest open one. Growing: one event keeps failing, or Pendo is away.",
    ("topic", "partition"),
)
LOOP_LAG = Metric(
    "loop_lag_seconds",
    Kind.GAUGE,
    "How late the event loop ran, at worst within the last minute. Near session_timeout_s the group drops this pod: "
    "give it more CPU.",
)
IN_DOUBT = Metric(
    "gate_in_doubt",
    Kind.GAUGE,
    "1 while 401 or 403 came for one event, and another shows whether the credential is wrong or the event is.",
    ("route",),
)
DEAD_LETTERS_PARKED = Metric(
    "dead_letters_parked", Kind.GAUGE, "Dead letters that their topic has not acknowledged. Growing: see /readyz."
)
REBALANCES = Metric("rebalances_total", Kind.COUNTER, "Assignments received from the group.")
RECORDS_EXPIRED = Metric(
    "records_expired_total",
    Kind.COUNTER,
    "Records that retention deleted before they were read: lost. Raise retention.",
)
RECORDS_UNKEYED = Metric(
    "records_unkeyed_total", Kind.COUNTER, "Records without a key: order across pods needs the visitor as the key."
)
WARNINGS = Metric(
    "warnings_total",
    Kind.COUNTER,
    "Events of which Pendo takes something, but will not show it: `map` says of an event what, and why.",
    ("kind",),
)
OPERATOR_ACTS = Metric(
    "operator_acts_total",
    Kind.COUNTER,
    "What operators asked of this pod: pause, resume, skip. unauthorized: somebody has no token, or a wrong one.",
    ("act", "result"),
)
COMMITS = Metric("commits_total", Kind.COUNTER, "Commits by result; failed ones are repeated.", ("result",))
BUILD_INFO = Metric("build_info", Kind.GAUGE, "1, with the version as a label.", ("version",))

CATALOGUE: Final = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""All metrics, in the order of this file."""


class Exposition(Collector):
    """Turns what the parts yield into Prometheus' text format."""

    def __init__(self, sources: Sequence[Callable[[], Iterable[Sample]]]) -> None:
        self._sources = sources
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def render(self) -> bytes:
        """The body of `/metrics`."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Family]:
        """Called by prometheus_client at a scrape."""
        families = {metric.name: _family(metric) for metric in CATALOGUE}
        for source in self._sources:
            for sample in source():
                _add(families[sample.metric.name], sample)
        yield from families.values()


def _family(metric: Metric) -> Family:
    name, labels = PREFIX + metric.name, metric.labels
    match metric.kind:
        case Kind.COUNTER:
            return CounterMetricFamily(name.removesuffix("_total"), metric.help, labels=labels)
        case Kind.GAUGE:
            return GaugeMetricFamily(name, metric.help, labels=labels)
        case Kind.HISTOGRAM:
            return HistogramMetricFamily(name, metric.help, labels=labels)


def _add(family: Family, sample: Sample) -> None:
    value = sample.value
    if isinstance(value, Histogram):
        bounds = [*(str(bound) for bound in value.bounds), "+Inf"]
        assert isinstance(family, HistogramMetricFamily)  # noqa: S101  # a sample of the wrong kind is a bug
        family.add_metric(sample.labels, list(zip(bounds, accumulate(value.counts), strict=True)), value.sum)
    else:
        assert isinstance(family, CounterMetricFamily | GaugeMetricFamily)  # noqa: S101  # likewise
        family.add_metric(sample.labels, value)
