"""What a test needs and no Python package brings: in CI all of it is there, elsewhere its test is skipped."""

import os
import shutil
from typing import NoReturn

import pytest


def missing(reason: str) -> NoReturn:
    """Skip the test that needs what is not there, or in CI fail it; `reason` says what to do."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def tool(name: str, package: str) -> str:
    """The path of a program; without it the test is skipped, or, in CI, fails.

    Args:
        name: As it stands on the PATH.
        package: What brings it, for whoever reads the skip's reason.
    """
    if found := shutil.which(name):
        return found
    missing(f"{name} is not on the PATH: install {package}")
