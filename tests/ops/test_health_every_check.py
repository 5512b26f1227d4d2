"""No check is registered without a test in which it passes and one in which it finds an injected fault."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from subjunctive_admin.ops.health import check_ids

HERE = Path(__file__).parent
# A check that could not look, or does not apply, has found nothing.
NOT_A_FINDING = {"UNKNOWN", "SKIPPED", "OK"}


def calls(verb: str, source: str) -> Iterator[ast.Call]:
    """Every `verb(database, "an id", ...)`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == verb:
            yield node


def named(call: ast.Call) -> set[str]:
    given = call.args[1] if len(call.args) > 1 else None
    return {given.value} if isinstance(given, ast.Constant) and isinstance(given.value, str) else set()


def passing(source: str) -> set[str]:
    return {name for call in calls("check_passes", source) for name in named(call)}


def finding(source: str) -> set[str]:
    """A status that a parameter of the test gives is a finding too: `unknown` is asked for by name."""
    found = [call for call in calls("check_finds", source) if len(call.args) > 2]
    return {name for call in found if _status(call.args[2]) not in NOT_A_FINDING for name in named(call)}


def _status(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ""


SOURCES = [path.read_text(encoding="utf-8") for path in sorted(HERE.glob("test_*.py"))]
PASSING = set[str]().union(*map(passing, SOURCES))
FINDING = set[str]().union(*map(finding, SOURCES))


@pytest.mark.parametrize("check_id", check_ids())
def test_every_check_has_a_test_in_which_it_passes(check_id: str) -> None:
    assert check_id in PASSING


@pytest.mark.parametrize("check_id", check_ids())
def test_every_check_has_a_test_in_which_it_finds_a_fault(check_id: str) -> None:
    assert check_id in FINDING


def test_no_test_names_a_check_that_does_not_exist() -> None:
    assert {*check_ids(), "extra"} >= PASSING | FINDING


def test_what_could_not_look_is_no_finding() -> None:
    source = """
check_finds(database, "unseen", Status.UNKNOWN, "words")
check_finds(database, "found", Status.INFO)
check_finds(database, "given", status, "words")
check_finds(database, variable, Status.CRITICAL)
result = check_passes(with_settings(database, a=1), "passed", previous=before)
"""
    assert finding(source) == {"found", "given"}
    assert passing(source) == {"passed"}
