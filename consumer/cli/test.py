"""`test`: mapping tests as data. Each case says what is expected of an event; what is not so is shown as a diff."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from consumer.cli.configuration import add_config_option, load_configuration, print_warnings
from consumer.cli.junit import Result, to_xml
from consumer.errors import ConfigError
from consumer.mapping.case_file import case_files, read_cases
from consumer.mapping.cases import Bench, Case
from consumer.mapping.differences import Difference
from consumer.pendo.endpoints import Endpoints

DEFAULT_FILE: Final = "mapping-tests.yaml"
"""Beside the mapping file, or in `config/`."""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "test",
        help="run mapping tests: events with what is expected of them",
        description="Run mapping tests. Each case has a name, an event, and expect: any part of what `map` prints for "
        "it. Sends nothing, needs no key.",
        epilog="Example: pendo-consumer test --junit results.xml config/mapping-tests.yaml. Ends with 0, or with 1 if "
        "a case failed or there was none.",
    )
    add_config_option(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a case: name, file, line, failures")
    parser.add_argument("--junit", metavar="FILE", type=Path, help="also write the results as JUnit's XML")
    parser.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        type=Path,
        help=f"YAML or JSON file with a list of cases, or a folder; without it {DEFAULT_FILE} beside the mapping file",
    )
    parser.set_defaults(execute=lambda args: _execute(args, parser))


def _execute(args: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    loaded = load_configuration(args)
    print_warnings(loaded)
    path = args.path or Path(loaded.settings.mapping.file or "config/mapping.yaml").with_name(DEFAULT_FILE)
    if not path.exists():
        parser.error(f"{path}: there is no such file or folder")
    bench = Bench(loaded.settings, Endpoints.from_settings(loaded.settings.pendo).describe)
    results = []
    for result, differences in _results(path, bench):
        results.append(result)
        _print(result, differences, as_json=args.json)
    failed = sum(bool(result.failures) for result in results)
    if args.junit:
        _write(args.junit, to_xml(results), parser)
    if not args.json:
        print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed or not results else 0


def _results(path: Path, bench: Bench) -> Iterator[tuple[Result, list[Difference]]]:
    for file in case_files(path):
        try:
            cases = read_cases(file)
        except ConfigError as error:
            yield Result(file.name, str(file), 0, error.problems), []
            continue
        for case in cases:
            yield _result(case, bench)


def _result(case: Case, bench: Bench) -> tuple[Result, list[Difference]]:
    try:
        differences = bench.differences(case)
    except ConfigError as error:
        return Result(case.name, case.origin.place, case.origin.line, error.problems), []
    failures = tuple(map(str, differences))
    return Result(case.name, case.origin.place, case.origin.line, failures), differences


def _print(result: Result, differences: list[Difference], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result._asdict()))
    elif result.failures:
        place = f"{result.file}:{result.line}" if result.line else result.file
        print(f"FAILED {result.name} ({place})")
        for difference in differences:
            print(f"  {difference.where}\n  - {difference.expected}\n  + {difference.actual}")
        for problem in () if differences else result.failures:
            print(f"  {problem}")


def _write(path: Path, text: bytes, parser: argparse.ArgumentParser) -> None:
    try:
        path.write_bytes(text)
    except OSError as error:
        parser.error(f"{path}: {error.strerror}")
