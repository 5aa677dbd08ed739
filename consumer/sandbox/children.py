"""Processes that live no longer than ours: a command comes in, a running child goes out.

A child stands in a session of its own, so that Ctrl-C reaches us alone and we end our children in order. When we are
killed, Linux ends them; it watches the thread that started them, so start them from the main one. What its children
do is not known here.
"""

import asyncio
import ctypes
import secrets
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping
from typing import IO, Final

# Linux: the kernel sends a process this signal when the one that started it is gone, however it went.
_PR_SET_PDEATHSIG: Final = 1

# Below the range from which systems take the ports of outgoing connections: none of these can take ours.
_PORTS: Final = range(20_000, 32_000)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on, outside the range of outgoing connections."""
    while True:
        # Not the seeded generator: processes that share a seed would choose the same ports.
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


async def start_child(*command: str, output: IO[bytes] | int, env: Mapping[str, str] | None = None) -> Process:
    """Start a process that ends with us; its output, errors included, goes to `output`."""
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=asyncio.subprocess.STDOUT,
        env=env,
        start_new_session=True,
        preexec_fn=_end_with_parent(),
    )


async def end_child(child: Process, grace_s: float) -> int:
    """Ask a child to end, end it by force after `grace_s`; return its exit status."""
    if child.returncode is None:
        child.send_signal(signal.SIGTERM)
    try:
        return await asyncio.wait_for(child.wait(), grace_s)
    except TimeoutError:
        child.kill()
        return await child.wait()


def _end_with_parent() -> Callable[[], None] | None:
    """Return what a child does before it becomes the command; None where the system knows no such thing."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # loaded here: little is safe between fork and exec

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return ask
