"""Chaos on Apache Kafka: three processes of the service, every kind of fault, 100,000 events, and an oracle outside."""

from pathlib import Path

import pytest

from tests.chaos.oracle import judge
from tests.chaos.report import to_text
from tests.chaos.run import Options, chaos

pytestmark = [pytest.mark.apache, pytest.mark.timeout(600)]

SEED = 6


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(Options(events=100_000, seed=SEED), id="segmentio"),
        pytest.param(Options(events=66_000, seed=SEED, by_calls=True), id="all routes"),
    ],
)
async def test_nothing_is_lost_and_order_holds_under_every_fault(options: Options, tmp_path: Path) -> None:
    """SIGTERM, SIGKILL, SIGSTOP, broker restarts, and all that Pendo can do; see the report below for the figures."""
    findings = judge(await chaos(options, tmp_path))
    report = to_text(findings)
    print(f"seed {SEED}\n{report}")  # noqa: T201 - the figures belong in CI's log
    assert findings.ok, report
