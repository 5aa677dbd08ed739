"""mq-bridge as a process: a route as JSON comes in as the only argument, and runs until the process is ended.

It runs in an environment of its own, made of `requirements.txt` beside this file, and imports nothing of ours.
"""

import json
import sys

from mq_bridge import Route

if __name__ == "__main__":
    Route.from_config(json.loads(sys.argv[1])).run()
