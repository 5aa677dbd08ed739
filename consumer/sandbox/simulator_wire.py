"""What stands on the wire when the simulator misbehaves: a fault's answer comes in, a response or a cut goes out.

It does not know what Pendo would have answered.
"""

import socket
import struct

from aiohttp import web

from consumer.sandbox.simulator_faults import Answer


def faulty(answer: Answer) -> web.Response:
    """Return what a rule says, as a response."""
    body = "<!doctype html><title>Sign in</title>" if answer.html and not answer.body else answer.body
    response = web.Response(
        status=answer.status or 200, text=body, content_type="text/html" if answer.html else "text/plain"
    )
    response.headers.update(answer.headers)
    if answer.retry_after is not None:
        response.headers["Retry-After"] = str(answer.retry_after)
    return response


def cut(request: web.BaseRequest) -> None:
    """Close the connection at once, with a reset where the system allows to ask for one."""
    if request.transport is None:
        return
    connection = request.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
