"""No fault is listed without a test that injects it, and none is injected that is not listed.

What holds for checks in the same way stands beside them: a second one of the same id is refused (tests/ops/test_health.py,
tests/content/test_checks.py), and each has a test in which it finds its fault (tests/ops/test_health_every_check.py).
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from tests.faults import FAULTS, tally

HERE = Path(__file__).parent
Outcome = Literal["passed", "failed", "skipped"]
When = Literal["setup", "call", "teardown"]


def injected(source: str) -> Iterator[str]:
    """Every id of a `pytest.mark.injects("an id", ...)`; one that is no literal cannot be listed and raises."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "injects":
            for given in node.args:
                yield str(ast.literal_eval(given))


SOURCES = [path.read_text(encoding="utf-8") for path in sorted(HERE.rglob("test_*.py"))]
INJECTED = {fault for source in SOURCES for fault in injected(source)}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_has_a_test_that_injects_it(fault: str) -> None:
    assert fault in INJECTED


def test_no_test_injects_a_fault_that_is_not_listed() -> None:
    assert INJECTED - FAULTS.keys() == set()


def test_every_fault_is_listed_once_and_said_in_a_sentence() -> None:
    (listed,) = (node for node in ast.walk(ast.parse((HERE / "faults.py").read_text())) if isinstance(node, ast.Dict))
    assert [ast.literal_eval(key) for key in listed.keys if key] == list(FAULTS)
    assert len(set(FAULTS.values())) == len(FAULTS)
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in FAULTS.values())


def report(*faults: str, outcome: Outcome = "passed", when: When = "call", name: str = "test_one") -> pytest.TestReport:
    return pytest.TestReport(
        name, ("tests/test_one.py", 1, name), {}, outcome, None, when, user_properties=[("injects", f) for f in faults]
    )


def test_a_fault_that_two_tests_inject_counts_once() -> None:
    ran = [report("server-down", "backend-killed"), report("server-down"), report()]
    assert tally(ran) == "faults: 2 injected, 2 survived"


def test_a_fault_that_one_of_its_tests_did_not_survive_is_named() -> None:
    ran = [report("server-down", "backend-killed"), report("server-down", outcome="failed")]
    assert tally(ran) == "faults: 2 injected, 1 survived; not survived: server-down"


def test_a_fault_whose_traces_could_not_be_cleared_did_not_survive() -> None:
    ran = [report("server-down"), report("server-down", outcome="failed", when="teardown")]
    assert tally(ran) == "faults: 1 injected, 0 survived; not survived: server-down"


def test_a_test_that_was_skipped_or_did_not_begin_injected_nothing() -> None:
    skipped = [report("server-down", outcome="skipped"), report("wrong-password", outcome="failed", when="setup")]
    assert tally(skipped) is None
    assert tally([*skipped, report("backend-killed")]) == "faults: 1 injected, 1 survived"


def test_a_run_without_faults_says_nothing_of_them() -> None:
    assert tally([report()]) is None


CONFTEST = "from tests.conftest import pytest_itemcollected, pytest_terminal_summary"
TESTS = """
import pytest

@pytest.mark.injects("server-down")
def test_one(): pass

@pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.injects("backend-killed"))])
def test_two(n): assert n == 1
"""


@pytest.mark.faults
@pytest.mark.parametrize("processes", ["0", "2"])
def test_the_suite_counts_them_whatever_number_of_processes(tmp_path: Path, processes: str) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_made.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(tmp_path), "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-W", "ignore", "-n", processes, str(tmp_path)],
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    *_, last = lines = done.stdout.splitlines()
    assert "faults: 2 injected, 1 survived; not survived: backend-killed" in lines
    assert last.startswith("1 failed, 2 passed in ")
