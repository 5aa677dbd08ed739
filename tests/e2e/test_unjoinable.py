"""A group that does not take us: the service waits and says why, a replay ends and says why."""

import asyncio

import pytest

from consumer.sandbox.simulator_faults import Answer, Rule
from tests.e2e.commands import Commands
from tests.e2e.pipe import Pipe, event

pytestmark = pytest.mark.apache

TOO_SHORT_S = "3"
"""Apache Kafka takes none below 6 s; the embedded broker takes any."""
TOLD = "InvalidSessionTimeoutError; kafka.session_timeout_s must lie between the brokers' group.min.session.timeout.ms"


async def test_a_session_timeout_that_brokers_refuse_is_told(apache_pipe: Pipe) -> None:
    """`run` is not ready, for the brokers can be changed, too; `dlq replay` has somebody who waits, and ends."""
    pipe = apache_pipe
    pipe.simulator.faults.add(Rule(answer=Answer(status=400)))
    async with pipe.service() as running:
        await pipe.produce([event(1)])
        await running.until_settled(1)
    pipe.simulator.faults.clear()
    async with pipe.process(kafka__session_timeout_s=TOO_SHORT_S) as service:
        async with asyncio.timeout(20):
            while not (problems := [line["problem"] for line in service.log if "problem" in line]):
                await asyncio.sleep(0.05)
        await service.until_reasons(["kafka"])
        assert await service.stop() == 0
    assert TOLD in problems[0]
    done = await Commands(pipe, kafka__session_timeout_s=TOO_SHORT_S).run("dlq", "replay", "--json")
    assert (done.status, done.rows) == (1, [])
    assert f"1 not sent: polling: {TOLD}" in done.err
    assert pipe.accepted() == []
