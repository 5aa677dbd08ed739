"""What commands that ask running pods have in common: their options, one request, one answer.

Pods are asked one after another over their admin HTTP. A pod that cannot be reached is told of and stops no other.
"""

import argparse
import getpass
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final

from consumer.cli.configuration import add_config_option
from consumer.config.settings import HttpSettings
from consumer.errors import ConfigError

TIMEOUT_S: Final = 10.0
DEFAULT_URL: Final = f"http://localhost:{HttpSettings().port}"
SCHEMES: Final = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one pod answered.

    Attributes:
        url: The pod's.
        status: HTTP's; 0 when there was no answer, or none of a pod.
        body: Its JSON.
    """

    url: str
    status: int
    body: dict[str, Any]

    @property
    def message(self) -> str:
        """What it says, for a person."""
        return str(self.body.get("message", ""))


def add_url_option(parser: argparse.ArgumentParser) -> None:
    """Let a command take `--config`, `--url` and `--json`."""
    add_config_option(parser)
    parser.add_argument(
        "--url",
        metavar="URL",
        action="append",
        default=[],
        help=f"a pod's HTTP address, repeatable; without it {DEFAULT_URL}",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a pod")


def urls_of(args: argparse.Namespace) -> list[str]:
    """The pods that are named.

    Raises:
        ConfigError: One is no HTTP address.
    """
    urls = [url.rstrip("/") for url in args.url] or [DEFAULT_URL]
    problems = [f"--url {url}: must begin with http:// or https://" for url in urls if not url.startswith(SCHEMES)]
    if problems:
        raise ConfigError(problems)
    return urls


def act(urls: Iterable[str], name: str, asked: dict[str, Any], token: str | None) -> Iterator[Answer]:
    """Have each pod do something."""
    headers = {"X-Asked-By": getpass.getuser(), "Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    for url in urls:
        yield _ask(url, f"/api/{name}", headers, json.dumps(asked).encode())


def partitions_of(urls: Iterable[str]) -> Iterator[Answer]:
    """Ask each pod for its partitions."""
    return (_ask(url, "/api/partitions", {}, None) for url in urls)


def _ask(url: str, path: str, headers: dict[str, str], body: bytes | None) -> Answer:
    try:
        request = urllib.request.Request(url + path, data=body, headers=headers)  # noqa: S310 - the scheme was checked
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310 - likewise
            return _answer(url, response.status, response.read())
    except urllib.error.HTTPError as error:
        return _answer(url, error.code, error.read())
    except (urllib.error.URLError, HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Answer(url, 0, {"message": f"no answer: {reason}"})


def _answer(url: str, status: int, body: bytes) -> Answer:
    """What a pod says; a proxy or another server says what it likes, with 200 or without."""
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return Answer(url, status, found)
    return Answer(url, 0, {"message": f"this is no pod: its answer is no JSON object (status {status})"})


def report(answers: Iterable[Answer], *, as_json: bool) -> int:
    """Tell what each pod answered; 0 when one did it, else 1."""
    status = 1
    for answer in answers:
        if answer.status == 200:  # noqa: PLR2004  # HTTP's OK
            status = 0
        if as_json:
            print(json.dumps({"url": answer.url, "status": answer.status, **answer.body}))
        else:
            print(f"{answer.url}: {answer.message}", file=sys.stdout if answer.status == 200 else sys.stderr)  # noqa: PLR2004
    return status
