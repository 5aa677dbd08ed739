"""Checks that every relative link, and every anchor, in the repository's Markdown leads somewhere.

Folders or files come in as arguments (without any: the repository), `file:line: what is wrong` goes out, and exit
status 1 when there was such a line. Nothing is asked of the network: links to other hosts are left alone.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote

REPOSITORY: Final = Path(__file__).parents[2]
_IGNORED: Final = frozenset({".venv", ".build", ".git", "node_modules"})
_FENCE: Final = re.compile(r"\s*(```|~~~)")
_CODE: Final = re.compile(r"`[^`]*`")
_LINK: Final = re.compile(r"\[[^\]]*\]\(\s*<?([^)<>\s]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_REFERENCE: Final = re.compile(r"\s{0,3}\[[^\]]+\]:\s+<?(\S+?)>?\s*$")
_HEADING: Final = re.compile(r"#{1,6}\s+(.+?)\s*#*$")
_FOREIGN: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def main(arguments: list[str]) -> int:
    """Check the given files and folders; return the exit status."""
    problems = [problem for place in arguments or [str(REPOSITORY)] for problem in check(Path(place))]
    for problem in problems:
        print(problem)  # noqa: T201 - it is a command
    return 1 if problems else 0


def check(place: Path) -> Iterator[str]:
    """Give a line for each link that leads nowhere, in a file or in all of a folder's Markdown."""
    for file in sorted(markdown_in(place)):
        for number, target in links_in(file.read_text()):
            if flaw := flaw_of(file, target):
                yield f"{file}:{number}: {target}: {flaw}"


def markdown_in(place: Path) -> Iterator[Path]:
    """Give the Markdown files of a folder, but for those of other projects in it."""
    if place.is_file():
        yield place
        return
    for file in place.rglob("*.md"):
        if not _IGNORED.intersection(file.relative_to(place).parts):
            yield file


def links_in(text: str) -> Iterator[tuple[int, str]]:
    """Give the number of the line and the target of each link."""
    for number, line in prose_of(text):
        bare = _CODE.sub("", line)
        if reference := _REFERENCE.match(bare):
            yield number, reference[1]
        for link in _LINK.finditer(bare):
            yield number, link[1]


def prose_of(text: str) -> Iterator[tuple[int, str]]:
    """Give the lines outside of code blocks, with their numbers."""
    fence = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if found := _FENCE.match(line):
            fence = "" if fence == found[1] else fence or found[1]
        elif not fence:
            yield number, line


def flaw_of(file: Path, target: str) -> str | None:
    """Say why a link leads nowhere; None when it leads somewhere, or to another host."""
    if _FOREIGN.match(target) or target.startswith("//"):
        return None
    path, _, anchor = target.partition("#")
    there = file.parent / unquote(path) if path else file
    if not there.exists():
        return "there is no such file"
    if anchor and there.suffix == ".md" and anchor not in anchors_of(there.read_text()):
        return "there is no such heading"
    return None


def anchors_of(text: str) -> set[str]:
    """Give the anchors of all headings, as the usual hosts of repositories make them."""
    seen: Counter[str] = Counter()
    anchors: set[str] = set()
    for _, line in prose_of(text):
        if heading := _HEADING.match(line):
            words = re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-")
            anchors.add(f"{words}-{seen[words]}" if seen[words] else words)
            seen[words] += 1
    return anchors


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
