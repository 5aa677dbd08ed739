"""Where no Chromium is, its tests are skipped; in CI, where nothing is, they fail."""

from pathlib import Path

import pytest

from tests.page.chromium import require_chromium


def test_without_a_browser_a_newcomer_skips_and_ci_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with an empty path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception):
        require_chromium()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="install the package"):
        require_chromium()


def test_another_browser_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the environment."""
    monkeypatch.setenv("CHROMIUM", "/opt/browser")
    assert require_chromium() == "/opt/browser"
