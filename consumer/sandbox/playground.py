"""The sandbox to play in: the demo's parts with traffic that does not end, until Ctrl-C.

A rate comes in; addresses to look at and a line a second go out. Nothing is judged here.
"""

import asyncio
from typing import Final

import aiohttp

from consumer.sandbox.demo import Progress
from consumer.sandbox.readings import Readings
from consumer.sandbox.stage import TOPIC, Stage
from consumer.sandbox.traffic import generate, produce

_SEED: Final = 1
_POLL_S: Final = 1.0


async def run_playground(per_second: float) -> None:
    """Produce at a rate and say how it goes, until cancelled.

    Raises:
        StageError: A part does not start, or the service ended.
    """
    async with Stage() as stage, aiohttp.ClientSession() as session:
        print(_addresses(stage), flush=True)
        readings = Readings(session, stage.service_url, stage.pendo_url)
        async with asyncio.TaskGroup() as tasks:
            events = generate(None, _SEED)
            tasks.create_task(produce(stage.bootstrap, TOPIC, events, per_second=per_second), name="produce")
            progress = Progress(None)
            while True:
                stage.check()
                progress.show(await readings.metrics())
                await asyncio.sleep(_POLL_S)


def _addresses(stage: Stage) -> str:
    return "\n".join(
        [
            f"Kafka             {stage.bootstrap}",
            f"The page          {stage.service_url}/",
            f"Service           {stage.service_url}/metrics  /readyz  /livez",
            f"Service's log     {stage.log_path}",
            f"What Pendo holds  {stage.pendo_url}/_sim/state  /_sim/counts  /_sim/log",
            f'Make it fail      curl -X POST {stage.pendo_url}/_sim/faults -d \'{{"rate": 0.5, "answer": 500}}\'',
            f"Make it well      curl -X DELETE {stage.pendo_url}/_sim/faults",
            "In another shell, so that commands ask this service, its token and key included:",
            f"                  . {stage.environment_path}",
            f"                  pendo-consumer lag --url {stage.service_url}",
            "Ctrl-C ends all of it.",
        ]
    )
