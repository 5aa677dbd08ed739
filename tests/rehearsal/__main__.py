"""`make rehearsal`: play the incidents on Apache Kafka, one after another, and print what each witness says."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.rehearsal.incidents import INCIDENTS
from tests.rehearsal.run import play, told
from tests.support.apache import ApacheKafka


async def _main(names: list[str]) -> int:
    failed = 0
    async with ApacheKafka() as broker:
        for incident in INCIDENTS:
            name = getattr(incident, "__name__", "")
            if names and name not in names:
                continue
            began_s = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                try:
                    account = await play(incident, broker, Path(folder))
                except (AssertionError, TimeoutError) as error:
                    failed += 1
                    print(f"{name}: FAILED: {error!r}\n", flush=True)  # noqa: T201
                else:
                    print(told(incident, account, began_s) + "\n", flush=True)  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(sys.argv[1:])))
