"""The wheel is complete: it works where there is no checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def uv(*arguments: str) -> None:
    found = shutil.which("uv")
    command = [found] if found else [sys.executable, "-m", "uv"]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--wheel", "--out-dir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel installs, without its dependencies."""
    target = tmp_path_factory.mktemp("installed")
    uv("pip", "install", "--no-deps", "--offline", "--python", sys.executable, "--target", str(target), str(wheel))
    return target


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("folder", ["notebooks", "migrations", "seeds"])
def test_every_file_of_the_folder_is_in_the_wheel(wheel: Path, folder: str) -> None:
    present = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts)
    }
    assert len(present) >= 3
    assert {f"subjunctive_admin/bundled/{name}" for name in present} <= names_in(wheel)


def test_the_wheel_holds_the_package_its_types_and_its_licences(wheel: Path) -> None:
    names = names_in(wheel)
    assert names >= {"subjunctive_admin/py.typed", "subjunctive_admin/cli.py", "subjunctive_admin/models/__init__.py"}
    assert {name.rsplit("/", 1)[1] for name in names if "/licenses/" in name} == {"LICENSE", "LICENSE.plotly"}


def test_the_wheel_holds_no_tests_and_nothing_of_ours_alone(wheel: Path) -> None:
    stray = [n for n in names_in(wheel) if n.startswith("tests/") or "__pycache__" in n or n.endswith((".pyc", ".env"))]
    assert stray == []
    assert {name.split("/")[0].split("-")[0] for name in names_in(wheel)} == {"subjunctive_admin"}


PROGRAM = """
import json
import subjunctive_admin
from subjunctive_admin import schema
from subjunctive_admin.resources import resource_folder
folders = {name: str(resource_folder(name)) for name in ("notebooks", "migrations", "seeds")}
print(json.dumps({"file": subjunctive_admin.__file__, "heads": schema.heads(), "folders": folders,
                  "objects": len(schema.expected_fingerprint()), "sql": schema.offline_sql()[:13]}))
"""


def test_the_installed_wheel_works_outside_a_checkout(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)

    assert said["file"] == str(installed / "subjunctive_admin" / "__init__.py")
    bundled = installed / "subjunctive_admin" / "bundled"
    assert said["folders"] == {name: str(bundled / name) for name in ("notebooks", "migrations", "seeds")}
    assert (said["heads"], said["sql"]) == (["0005"], "CREATE SCHEMA")
    assert said["objects"] > 300
