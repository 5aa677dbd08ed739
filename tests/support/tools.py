"""Programs that a test needs and that are no Python packages: in CI each is there, elsewhere its test is skipped."""

import os
import shutil

import pytest


def tool(name: str, package: str) -> str:
    """The path of a program; without it the test is skipped, or, in CI, fails.

    Args:
        name: As it stands on the PATH.
        package: What brings it, for whoever reads the skip's reason.
    """
    if found := shutil.which(name):
        return found
    reason = f"{name} is not on the PATH: install {package}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
