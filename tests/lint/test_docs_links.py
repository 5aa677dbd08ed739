"""The link checker finds what leads nowhere, and nothing else."""

from pathlib import Path

import pytest

from tests.lint.docs_links import REPOSITORY, check, main


@pytest.fixture
def guide(tmp_path: Path) -> Path:
    (tmp_path / "other.md").write_text("# Start here\n\n## Twice\n\n## Twice\n\n## `code` & more: yes\n")
    return tmp_path / "guide.md"


@pytest.mark.parametrize(
    "text",
    [
        "[file](other.md)",
        "[heading](other.md#start-here)",
        "[second of its name](other.md#twice-1)",
        "[with signs](other.md#code--more-yes)",
        "# Own\n[own](#own)",
        "[other host](https://example.com/missing#x) and [mail](mailto:a@example.com)",
        "`[code](missing.md)`",
        "```\n[code block](missing.md)\n```",
        "[folder](.)",
        '[titled](other.md "Other")',
    ],
)
def test_what_leads_somewhere_passes(guide: Path, text: str) -> None:
    guide.write_text(text)
    assert list(check(guide)) == []


@pytest.mark.parametrize(
    ("text", "line", "target"),
    [
        ("[file](missing.md)", 1, "missing.md"),
        ("\n\n[file](missing.md)", 3, "missing.md"),
        ("[heading](other.md#nowhere)", 1, "other.md#nowhere"),
        ("[own](#nowhere)", 1, "#nowhere"),
        ("[third](other.md#twice-2)", 1, "other.md#twice-2"),
        ("[ref]: missing.md", 1, "missing.md"),
        ("![picture](missing.png)", 1, "missing.png"),
        ("```\n```\n[after code](missing.md)", 3, "missing.md"),
        ("good [a](other.md), bad [b](missing.md)", 1, "missing.md"),
    ],
)
def test_what_leads_nowhere_is_told_with_its_line(guide: Path, text: str, line: int, target: str) -> None:
    guide.write_text(text)
    (problem,) = check(guide)
    assert problem.startswith(f"{guide}:{line}: {target}: ")


def test_other_projects_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "README.md").write_text("[gone](missing.md)")
    assert list(check(tmp_path)) == []


def test_a_bad_link_fails_the_command(guide: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guide.write_text("[file](missing.md)")
    assert main([str(guide)]) == 1
    assert "missing.md" in capsys.readouterr().out


def test_the_links_of_this_repository_lead_somewhere() -> None:
    assert list(check(REPOSITORY)) == []
