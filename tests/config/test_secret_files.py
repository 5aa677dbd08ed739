"""Secrets in files are noticed when they change, and not when they are away for a moment."""

from pathlib import Path

import pytest

from consumer.config.secret_files import SecretFiles

KEY = "pendo.api_key"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "api-key"
    file.write_text("one\n")
    return file


def changed(files: SecretFiles) -> dict[str, str]:
    return {key: secret.get_secret_value() for key, secret in files.changed().items()}


def test_a_changed_file_gives_its_new_secret_once(file: Path) -> None:
    """What was told already is no change."""
    files = SecretFiles({KEY: file})
    assert changed(files) == {}
    file.write_text("two\n")
    assert changed(files) == {KEY: "two"}
    assert changed(files) == {}


def test_a_file_written_anew_with_the_same_secret_is_no_change(file: Path) -> None:
    """Content counts, not the time of writing."""
    files = SecretFiles({KEY: file})
    file.write_text("one")
    assert changed(files) == {}


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff", b"half\x00"])
def test_a_file_that_is_away_or_empty_for_a_moment_is_no_change(file: Path, content: bytes | None) -> None:
    """The old secret stays in use until there is a new one."""
    files = SecretFiles({KEY: file})
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert changed(files) == {}
    file.write_text("one")
    assert changed(files) == {}
    file.write_text("two")
    assert changed(files) == {KEY: "two"}


def test_a_swapped_link_is_followed(tmp_path: Path) -> None:
    """Kubernetes mounts `key -> ..data/key` and swaps `..data`."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_text(name)
    data, mounted = tmp_path / "..data", tmp_path / "key"
    data.symlink_to("one")
    mounted.symlink_to("..data/key")
    files = SecretFiles({KEY: mounted})
    swapped = tmp_path / "..data_tmp"
    swapped.symlink_to("two")
    swapped.replace(data)
    assert changed(files) == {KEY: "two"}
