"""Results of mapping tests as JUnit's XML, which build servers show.

Names with what failed come in, XML goes out.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Signs that XML 1.0 cannot hold."""


class Result(NamedTuple):
    """One case's result.

    Attributes:
        name: The case's.
        file: Where it stands.
        line: In that file; 0 when that is unknown.
        failures: One line each; none when it passed.
    """

    name: str
    file: str
    line: int
    failures: tuple[str, ...]


def to_xml(results: Iterable[Result]) -> bytes:
    """One suite with all results."""
    results = tuple(results)
    failed = sum(bool(result.failures) for result in results)
    counts = {"tests": str(len(results)), "failures": str(failed), "errors": "0", "skipped": "0"}
    root = Element("testsuites", counts)
    suite = SubElement(root, "testsuite", {"name": "mapping", **counts})
    for result in results:
        place = {"file": _clean(result.file)} | ({"line": str(result.line)} if result.line else {})
        names = {"classname": _clean(result.file), "name": _clean(result.name)}
        case = SubElement(suite, "testcase", {**names, **place})
        if result.failures:
            text = _clean("\n".join(result.failures))
            SubElement(case, "failure", {"message": _clean(result.failures[0])}).text = text
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
