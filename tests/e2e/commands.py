"""Commands as processes of their own, configured as a pipe is."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from time import monotonic
from typing import Any

from tests.e2e.pipe import Pipe


@dataclass
class Done:
    """What a command did."""

    name: str
    status: int
    out: str
    err: str
    seconds: float

    @property
    def rows(self) -> list[Any]:
        """Its JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


class Commands:
    """Commands as processes, configured as a pipe is, with a way in."""

    def __init__(self, pipe: Pipe, **settings: str) -> None:
        simulator = pipe.simulator
        pendo = {"pendo__integration_key": simulator.integration_key, "pendo__api_url": simulator.url}
        self._environ = {**os.environ, **pipe.environ(**settings, **pendo)}

    async def run(self, *argv: str) -> Done:
        """One, to its end."""
        began_s = monotonic()
        command = (sys.executable, "-m", "consumer", *argv)
        process = await asyncio.create_subprocess_exec(
            *command, env=self._environ, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
        )
        try:
            async with asyncio.timeout(60):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return Done(" ".join(argv), process.returncode, out.decode(), err.decode(), monotonic() - began_s)

    async def ok(self, *argv: str) -> Done:
        """One that must end with 0."""
        done = await self.run(*argv)
        assert done.status == 0, (done.name, done.out, done.err)
        return done
