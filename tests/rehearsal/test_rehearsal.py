"""Each incident is named by every witness, healed by what they say, and loses nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import for_all_tests
from tests.e2e.pipe import Broker
from tests.rehearsal.incidents import INCIDENTS, Incident
from tests.rehearsal.run import play
from tests.support.apache import ApacheKafka

pytestmark = [pytest.mark.apache, pytest.mark.timeout(150)]


@pytest.fixture(scope="session")
def apache() -> Iterator[Broker]:
    """One for all incidents of a process."""
    with for_all_tests(ApacheKafka()) as broker:
        yield broker


@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda incident: incident.__name__)
async def test_an_incident_is_named_and_healed(incident: Incident, apache: Broker, tmp_path: Path) -> None:
    """By page, `lag`, log, metrics and readiness."""
    await play(incident, apache, tmp_path)
