"""The documents say what the code does, or this suite fails."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import write_reference
from subjunctive_admin import reports
from subjunctive_admin.content.checks import CHECKS, Check
from subjunctive_admin.ops.health import check_ids
from subjunctive_admin.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parent.parent


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_reference_is_what_its_script_makes() -> None:
    assert text_of("docs/reference.md") == write_reference.reference()


@pytest.mark.parametrize("name", sorted(f"{PREFIX}{field.upper()}" for field in Settings.model_fields))
def test_every_setting_is_in_the_reference(name: str) -> None:
    assert f"`{name}`" in text_of("docs/reference.md")


@pytest.mark.parametrize("check", check_ids())
def test_every_health_check_is_in_the_reference(check: str) -> None:
    assert f"`{check}`" in text_of("docs/reference.md")


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.id)
def test_every_content_check_is_in_the_reference_with_its_examples(check: Check) -> None:
    (row,) = [line for line in text_of("docs/reference.md").splitlines() if line.startswith(f"| `{check.id}` |")]
    _, _, severity, kind, title, passing, failing, mends, _ = row.split("|")
    assert [severity.strip(), kind.strip(), title.strip()] == [check.severity, check.kind, check.title]
    assert mends.strip() == ("offered" if check.mend else "–")
    for shown, example in ((passing, check.passing), (failing, check.failing)):
        assert [name for name in example if f"`{name}: " not in shown] == []
    # The first thing that a field holds can be read in the row: a prompt, a form, the word that is wrong.
    assert write_reference.written(next(iter(check.failing.values()))) in failing


def test_the_readme_shows_a_whole_demo_run() -> None:
    block = re.search(r"<!-- demo: .*?```\n(.*?)```\n<!-- end -->", text_of("README.md"), re.DOTALL)
    assert block is not None
    said = block[1]
    assert all(f"{n.number} {n.title}" in said for n in reports.list_notebooks() if n.effect == "read")
    assert "subjunctive-demo/index.html" in said
    assert max(map(len, said.splitlines())) <= 80


def test_every_link_and_picture_of_the_readme_exists() -> None:
    targets = [t for t in re.findall(r"\]\(([^)]+)\)", text_of("README.md")) if "://" not in t]
    assert targets
    assert [t for t in targets if not (ROOT / t).exists()] == []


def test_the_changelog_begins_with_this_version() -> None:
    from subjunctive_admin import __version__

    assert re.findall(r"^## \[([^\]]+)\]", text_of("CHANGELOG.md"), re.MULTILINE)[0] == __version__


def test_the_project_and_the_package_have_one_version() -> None:
    from subjunctive_admin import __version__

    assert f'version = "{__version__}"' in text_of("pyproject.toml")
