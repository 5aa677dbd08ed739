"""Where Java or Maven is missing, the caller is told which, and decides."""

from pathlib import Path

import pytest

from tests.support import apache


@pytest.mark.parametrize("missing", ["java", "mvn"])
async def test_what_is_missing_is_named(missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with an empty path, and one that has Java but neither Maven nor the jars."""
    if missing == "mvn":
        (tmp_path / "java").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(apache, "JARS", tmp_path / "none")
    with pytest.raises(apache.UnavailableError, match=f"`{missing}`"):
        await apache.ApacheKafka().__aenter__()
