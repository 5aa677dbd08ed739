"""The metrics: names and labels are a promise; the text is what Prometheus reads."""

from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from consumer import metrics
from consumer.metrics import AGE_BUCKETS_S, CATALOGUE, Exposition, Histogram, Kind, Sample

PROMISED = {
    "events_received_total": ("type",),
    "events_settled_total": ("type", "outcome", "reason"),
    "events_released_total": (),
    "events_open": (),
    "events_unaccounted": (),
    "requests_total": ("route", "status"),
    "requests_in_flight": ("route",),
    "request_duration_seconds": ("route",),
    "delivery_age_seconds": ("type",),
    "lag_records": ("topic", "partition"),
    "backlog_records": ("topic", "partition"),
    "gate_state": ("route",),
    "concurrency_limit": ("route",),
    "stalled": ("route", "reason"),
    "rebalances_total": (),
    "records_expired_total": (),
    "records_unkeyed_total": (),
    "warnings_total": ("kind",),
}
"""Of the interface, what has a meaning yet; `build_info` apart, whose labels are ours."""


def one_of_each() -> Iterator[Sample]:
    """A sample of every metric, its labels valued like their names."""
    for metric in CATALOGUE:
        value: float | Histogram = 7
        if metric.kind is Kind.HISTOGRAM:
            value = Histogram((0.1, 1.0))
            for seconds in (0.05, 0.1, 0.5, 3.0):
                value.observe(seconds)
        yield Sample(metric, value, metric.labels)


@pytest.fixture
def text() -> str:
    """A scrape of everything."""
    return Exposition([one_of_each]).render().decode()


def test_every_promised_metric_is_there_with_exactly_its_labels(text: str) -> None:
    """Dashboards and alerts rest on them."""
    found = {
        sample.name.removeprefix("pendo_consumer_"): set(sample.labels)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    for name, labels in PROMISED.items():
        histogram = name.endswith("_seconds")
        assert found[f"{name}_count" if histogram else name] == set(labels), name
    assert "build_info" in found


def test_every_sample_has_the_prefix_its_value_and_its_labels_in_their_order(text: str) -> None:
    """Read back by Prometheus' own parser."""
    for family in text_string_to_metric_families(text):
        assert family.name.startswith("pendo_consumer_")
        assert family.documentation
        for sample in family.samples:
            assert all(name == value for name, value in sample.labels.items() if name != "le"), sample
            if family.type != "histogram":
                assert sample.value == 7


def test_kinds_are_told(text: str) -> None:
    """A counter that is told as a gauge has no rate."""
    kinds = {f"{family.name}": family.type for family in text_string_to_metric_families(text)}
    for metric in CATALOGUE:
        assert kinds[f"pendo_consumer_{metric.name}".removesuffix("_total")] == metric.kind.value
        assert (metric.kind is Kind.COUNTER) is metric.name.endswith("_total")


def test_histograms_are_cumulative_and_end_with_all(text: str) -> None:
    """A value that equals a bound belongs to its bucket."""
    [family] = [f for f in text_string_to_metric_families(text) if f.name == "pendo_consumer_request_duration_seconds"]
    buckets = {s.labels["le"]: s.value for s in family.samples if s.name.endswith("_bucket")}
    assert buckets == {"0.1": 2, "1.0": 3, "+Inf": 4}
    totals = {s.name.rpartition("_")[2]: s.value for s in family.samples if "le" not in s.labels}
    assert totals["count"] == 4
    assert totals["sum"] == pytest.approx(3.65)


def test_buckets_of_the_age_reach_from_10_ms_to_a_day() -> None:
    """As the interface says; after an outage ages are long."""
    assert (AGE_BUCKETS_S[0], AGE_BUCKETS_S[-1]) == (0.01, 86_400)
    for bounds in (AGE_BUCKETS_S, metrics.DURATION_BUCKETS_S):
        assert list(bounds) == sorted(set(bounds))


def test_several_sources_add_to_one_exposition_and_are_asked_at_each_scrape() -> None:
    """Parts keep plain numbers."""
    count = 0

    def first() -> Iterator[Sample]:
        yield Sample(metrics.EVENTS_RECEIVED, count, ("track",))

    def second() -> Iterator[Sample]:
        yield Sample(metrics.EVENTS_RECEIVED, 5, ("page",))

    exposition = Exposition([first, second])
    for count in (1, 2):
        assert f'pendo_consumer_events_received_total{{type="track"}} {count}.0' in exposition.render().decode()
    assert 'pendo_consumer_events_received_total{type="page"} 5.0' in exposition.render().decode()


def test_labels_come_from_closed_sets_and_names_are_ours_once() -> None:
    """An id as a label would fill every Prometheus."""
    names = [metric.name for metric in CATALOGUE]
    assert len(names) == len(set(names))
    allowed = {"act", "type", "outcome", "reason", "route", "status", "topic", "partition", "result", "version", "kind"}
    assert {label for metric in CATALOGUE for label in metric.labels} <= allowed


def test_several_values_are_counted_as_each_for_itself() -> None:
    """On a bound, beyond the last, and none at all."""
    bounds = (0.1, 1.0, 5.0)
    values = (0.0, 0.1, 7.0, 1.0, 0.1000001, 5.0, 5.1, 0.05)
    each, together = Histogram(bounds), Histogram(bounds)
    for value in values:
        each.observe(value)
    together.observe_all(values[:5])
    together.observe_all(values[5:])
    together.observe_all(())
    assert together.counts == each.counts
    assert together.sum == pytest.approx(each.sum)
