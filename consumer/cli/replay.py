"""`dlq replay`: send letters again; first what would be sent, then the sending, with what became of each."""

import argparse
import asyncio
import json
import math
import sys
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from consumer.cli.configuration import load_configuration
from consumer.cli.letter_filters import add_filters, wanted_by
from consumer.config.settings import Settings
from consumer.kafka.records import parse_position
from consumer.outcomes import Outcome, Reason

if TYPE_CHECKING:
    from consumer.replays.plan import Plan, Planned
    from consumer.replays.replay import Replay

EXIT_REFUSED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130
SHOW_S: Final = 0.2


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "replay",
        help="send letters to Pendo again, each once",
        description="Send letters to Pendo again, by today's mapping. Each is sent once, however often this is called: "
        "what was sent is kept in Kafka, in a group of its own. What newer events have written is left out, so that "
        "nobody's data goes back in time. What is refused again becomes a new letter. Ctrl-C ends it in an orderly "
        "way; call it again to go on.",
        epilog="Example: pendo-consumer dlq replay --reason refused --since 24h --dry-run. Ends with 0; with 1 when "
        "there is no such letter or something was refused again; with 130 after Ctrl-C.",
    )
    parser.add_argument("letters", metavar="LETTER", nargs="*", help="TOPIC-PARTITION@OFFSET; without any, all")
    add_filters(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would be sent, and send nothing")
    parser.add_argument("--rate", type=_rate, metavar="N", help="send at most N requests a second")
    parser.add_argument(
        "--force",
        action="store_true",
        help="send also what was sent again 5 times, and old identify and group events whose successors have expired",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask, at a terminal, before anything is sent")
    parser.add_argument("--json", action="store_true", help="print one JSON object a letter")
    parser.set_defaults(execute=_execute)


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate < math.inf:
        raise argparse.ArgumentTypeError("a rate is a number and more than 0")
    return rate


def _execute(args: argparse.Namespace) -> int:
    from consumer.replays.replay import plan_of  # noqa: PLC0415  # other commands need no client of Kafka

    for letter in args.letters:
        try:
            parse_position(letter)
        except ValueError as error:
            print(f"{letter}: {error}", file=sys.stderr)
            return EXIT_USAGE
    settings = load_configuration(args).settings
    wanted = wanted_by(args, frozenset(args.letters))
    plan = asyncio.run(plan_of(settings, wanted, force=args.force, with_requests=args.dry_run))
    missing = _missing(args.letters, plan)
    for letter in missing:
        print(f"{letter}: there is no such letter; it may have expired", file=sys.stderr)
    if args.dry_run:
        _dry_run(settings, plan, as_json=args.json)
        return EXIT_REFUSED if missing else 0
    _tell_plan(plan, as_json=args.json)
    if not plan.all():
        return EXIT_REFUSED if missing else 0
    if settings.delivery.paused:
        print("delivery.paused is set: nothing is sent to Pendo while it is", file=sys.stderr)
        return EXIT_REFUSED
    if not args.yes and sys.stdin.isatty() and not _agreed(len(plan.all())):
        return 0
    return max(_replay(settings, plan, args.rate, as_json=args.json), EXIT_REFUSED if missing else 0)


def _missing(letters: list[str], plan: "Plan") -> list[str]:
    found = {planned.letter for planned in plan.all()} | plan.left.keys()
    return [letter for letter in letters if letter not in found]


def _agreed(count: int) -> bool:
    print(
        f"Send {count:,} letter{'' if count == 1 else 's'} to Pendo again? [y/N] ", end="", file=sys.stderr, flush=True
    )
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _tell_plan(plan: "Plan", *, as_json: bool) -> None:
    """How many go, and what is left out with its reason; in JSON a line each for the latter."""
    count = len(plan.all())
    print(f"{count:,} letter{'' if count == 1 else 's'} to send again", file=sys.stderr)
    for refusal, count in plan.reasons_left().most_common():
        print(f"{count:,} not sent: {refusal}", file=sys.stderr)
    if as_json:
        for row in plan.left_to_json():
            print(json.dumps(row))


def _dry_run(settings: Settings, plan: "Plan", *, as_json: bool) -> None:
    """A line a letter in JSON; else how many would end how."""
    from consumer.replays.dry_run import dry_run  # noqa: PLC0415

    rows = asyncio.run(dry_run(settings, plan))
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    ends = Counter((row["outcome"], row["reason"]) for row in rows if row["sent"])
    for (outcome, reason), count in ends.most_common():
        print(f"{count:,} would end as {outcome}{f' ({reason})' if reason else ''}")
    if shortened := sum(bool(row.get("without")) for row in rows):
        print(f"{shortened:,} of them without fields that newer events have written")
    for refusal, count in plan.reasons_left().most_common():
        print(f"{count:,} would not be sent: {refusal}")
    print("nothing was sent", file=sys.stderr)


def _replay(settings: Settings, plan: "Plan", rate: float | None, *, as_json: bool) -> int:
    from consumer.process import run_until_stopped  # noqa: PLC0415
    from consumer.replays.replay import MEND_S, Replay  # noqa: PLC0415

    told = _print_end if as_json else _nothing
    built: list[Replay] = []

    def build() -> "Shown":
        built.append(Replay(settings, plan, rate=rate, told=told))
        return Shown(built[0], len(plan.all()))

    status = run_until_stopped(build, settings.delivery.shutdown_timeout_s + MEND_S)
    replay = built[0]
    _tell_ends(replay.ends)
    if replay.outstanding:
        why = replay.stopped_by or "another replay has them, or they have expired"
        print(f"{replay.outstanding:,} not sent: {why}. Call it again to go on.", file=sys.stderr)
    refused = any(outcome is Outcome.DEAD_LETTERED for outcome, _ in replay.ends)
    if replay.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_REFUSED if refused or replay.outstanding else status


class Shown:
    """A replay with a progress bar, where a person looks on."""

    def __init__(self, replay: "Replay", letters: int) -> None:
        self._replay = replay
        self._letters = letters
        self.stop = replay.stop

    async def run(self) -> int:
        """Run it, and show how far it is."""
        from tqdm import tqdm  # noqa: PLC0415

        with tqdm(total=self._letters, unit="letter", disable=None, file=sys.stderr, leave=False) as bar:
            showing = asyncio.create_task(self._show(bar.update, bar.set_postfix_str), name="progress bar")
            try:
                return await self._replay.run()
            finally:
                showing.cancel()

    async def _show(self, update: Callable[[int], Any], say: Callable[[str], Any]) -> None:
        shown = 0
        while True:
            ended = self._replay.ends.total()
            update(ended - shown)
            shown = ended
            say(self._replay.waits_for)
            await asyncio.sleep(SHOW_S)


def _nothing(planned: "Planned", outcome: Outcome, reason: Reason) -> None:
    """Nobody reads a line a letter."""


def _print_end(planned: "Planned", outcome: Outcome, reason: Reason) -> None:
    print(json.dumps(planned.to_json(outcome.value, reason.value)), flush=True)


def _tell_ends(ends: Counter[tuple[Outcome, Reason]]) -> None:
    for (outcome, reason), count in sorted(ends.items(), key=lambda end: -end[1]):
        again = " again: new letters" if outcome is Outcome.DEAD_LETTERED else ""
        print(f"{count:,} {outcome}{f' ({reason})' if reason else ''}{again}", file=sys.stderr)
