"""The endpoint as a process: a latency comes in, a URL and what the judge remembers go out.

It is written in Go (`endpoint/`), answers after a latency that depends on the event alone, and judges what comes.
"""

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
import trustme

from benchmarks.peers.judging import Report
from benchmarks.processes import PartyError, lines_of
from consumer.sandbox.children import end_child, start_child

_READY_S: Final = 10.0
_END_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Files:
    """PEM files of an authority that nobody else trusts, and of a certificate for this machine."""

    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    requests: int
    distinct: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running endpoint.

    Attributes:
        base: Its URL without a path.
        ca_file: PEM file of its authority; None without TLS.
    """

    base: str
    ca_file: str | None
    _control: str
    _session: aiohttp.ClientSession

    async def progress(self) -> Progress:
        """How far it is."""
        return Progress(**await self._get("/progress"))

    async def report(self) -> Report:
        """All that it remembers."""
        return Report(**await self._get("/report"))

    async def _get(self, path: str) -> dict[str, Any]:
        async with self._session.get(self._control + path) as response:
            found: dict[str, Any] = orjson.loads(await response.read())
            return found


def make_certificates(folder: Path) -> Files:
    """Write an authority, and a certificate for 127.0.0.1, as PEM files."""
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    files = Files(folder / "authority.pem", folder / "endpoint.pem", folder / "endpoint.key")
    authority.cert_pem.write_to_path(str(files.authority))
    files.certificate.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(str(files.key))
    return files


@asynccontextmanager
async def endpoint(program: Path, latency: str, tls: Files | None = None) -> AsyncIterator[Endpoint]:
    """Run an endpoint that remembers nothing yet.

    Raises:
        PartyError: It did not start.
    """
    secured = ("-cert", str(tls.certificate), "-key", str(tls.key)) if tls else ()
    process = await start_child(str(program), "-latency", latency, *secured, output=PIPE)
    try:
        first_line = await asyncio.wait_for(lines_of(process).readline(), _READY_S)
        try:
            port, control = map(int, first_line.split())
        except ValueError:
            raise PartyError(f"the endpoint did not start: {first_line.decode(errors='replace')}") from None
        base = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        async with aiohttp.ClientSession() as session:
            yield Endpoint(base, str(tls.authority) if tls else None, f"http://127.0.0.1:{control}", session)
    finally:
        await end_child(process, _END_S)
