"""What commands that read the configuration have in common: their options, and loading by them."""

import argparse
import os
import sys
from pathlib import Path

from consumer import log
from consumer.config.environment import CONFIG_VARIABLE
from consumer.config.load import Loaded, load


def add_config_option(parser: argparse.ArgumentParser) -> None:
    """Let a command take `--config`."""
    parser.add_argument(
        "--config",
        metavar="PATH",
        type=Path,
        help=f"YAML file with the configuration; without it {CONFIG_VARIABLE}, else defaults and environment",
    )


def load_configuration(args: argparse.Namespace) -> Loaded:
    """Load what the command line and the environment name, and log as it says from here on.

    Raises:
        ConfigError: With every problem that there is.
    """
    named = args.config or os.environ.get(CONFIG_VARIABLE)
    loaded = load(Path(named) if named else None, dict(os.environ))
    log.mask(loaded.secrets())
    log.configure(loaded.settings.log.level, loaded.settings.log.format)
    return loaded


def print_warnings(loaded: Loaded) -> None:
    """Tell a person what has no effect."""
    for warning in loaded.warnings:
        print(f"warning: {warning}", file=sys.stderr)
