"""Scaling out and in on Apache Kafka: one to four to two processes under load, judged from Pendo's side."""

from pathlib import Path

import pytest

from tests.scaling.record import Options
from tests.scaling.report import to_text
from tests.scaling.run import scaling
from tests.scaling.verdict import verdict

pytestmark = [pytest.mark.apache, pytest.mark.timeout(240)]


async def test_a_group_is_scaled_out_and_in_under_load_and_each_event_arrives_once(tmp_path: Path) -> None:
    """One pod is too few, four heal it, two hold it; see the report below for the figures."""
    run = await scaling(Options(), tmp_path, print)
    found = verdict(run)
    report = to_text(run, found)
    print(report)  # noqa: T201 - the figures belong in CI's log
    assert not found.problems, report
