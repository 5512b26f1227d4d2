"""The project's tasks, in one file: `python -m uv run python scripts/tasks.py TASK ...`.

test: the README's test command · lint: ruff, mypy, import contracts, stripped notebooks ·
matrix: PostgreSQL 15, 16 and 18 · faults: killed servers, full folders, two at once ·
browser: what a person sees, in Chromium · notebooks: each on a stock kernel, by nbmake ·
bench: the ratios of benchmarks/ · ci: all but bench, each with its time
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
PYTEST = [PYTHON, "-m", "pytest"]
# What is killed, timed or drawn has the machine to itself.
ALONE = [*PYTEST, "-n0"]
NOTEBOOKS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "notebooks").glob("*.ipynb"))
ON_EVERY_MAJOR = [
    "tests/models",
    "tests/content",
    "tests/ops",
    "tests/test_db.py",
    "tests/test_derived.py",
    "tests/test_practice.py",
    "tests/test_schema.py",
    "tests/test_seeding.py",
]
# 18 is what the plain test run uses; 15 comes from Debian, where it is installed.
MAJORS = ["16", *(["15"] if Path("/usr/lib/postgresql/15/bin/initdb").exists() else [])]

TASKS: dict[str, list[list[str]]] = {
    "test": [PYTEST],
    "matrix": [[*PYTEST, "-m", "matrix"], *([*PYTEST, "-q", "--postgres", major, *ON_EVERY_MAJOR] for major in MAJORS)],
    "faults": [[*ALONE, "-m", "faults"]],
    "browser": [[*ALONE, "-m", "browser"]],
    "notebooks": [[*ALONE, "-q", "-m", "", "--nbmake", "--nbmake-timeout=120", *NOTEBOOKS]],
    "lint": [
        [PYTHON, "-m", "ruff", "check", "."],
        [PYTHON, "-m", "ruff", "format", "--check", "."],
        [PYTHON, "-m", "mypy"],
        [str(Path(PYTHON).parent / "lint-imports"), "--no-cache"],
        [str(Path(PYTHON).parent / "nbstripout"), "--keep-id", "--verify", *NOTEBOOKS],
    ],
    "bench": [
        [PYTHON, "benchmarks/run.py"],
        [PYTHON, "benchmarks/bulk_load.py"],
        [PYTHON, "-m", "benchmarks.recording"],
        [PYTHON, "-m", "benchmarks.backup"],
        [PYTHON, "benchmarks/spanish.py"],
        [PYTHON, "benchmarks/pool.py"],
    ],
}
CI = ("lint", "test", "notebooks", "matrix", "faults", "browser")


def run_task(name: str) -> bool:
    """Run a task's commands; True when every one of them succeeded."""
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="subjunctive-nb-", dir="/var/tmp" if os.name == "posix" else None) as home:
        if name == "notebooks":
            # The notebooks open the embedded server of HOME: give them an empty one of their own.
            Path(home).chmod(0o711)
            environment["SUBJUNCTIVE_HOME"] = str(Path(home) / "home")
            environment.pop("SUBJUNCTIVE_DATABASE_URL", None)
            return _run_notebooks(environment)
        return all(_succeeds(command, environment) for command in TASKS[name])


def _run_notebooks(environment: dict[str, str]) -> bool:
    command_line = [PYTHON, "-m", "subjunctive_admin"]
    try:
        prepared = all(_succeeds([*command_line, *step], environment) for step in (["setup"], ["seed"]))
        return prepared and all(_succeeds(command, environment) for command in TASKS["notebooks"])
    finally:
        _succeeds([*command_line, "db", "stop"], environment)


def _succeeds(command: Sequence[str], environment: dict[str, str]) -> bool:
    shown = " ".join(Path(part).name if part == PYTHON else part for part in command)
    print(f"$ {shown}", flush=True)
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


def main(names: Sequence[str]) -> int:
    """Run the named tasks; the exit code is 0 when all succeeded, 64 for a name that is none."""
    if not names or any(name not in (*TASKS, "ci") for name in names):
        print(__doc__)
        return 64
    chosen = [task for name in names for task in (CI if name == "ci" else (name,))]
    times: list[tuple[str, bool, float]] = []
    for task in chosen:
        started = time.monotonic()
        succeeded = run_task(task)
        times.append((task, succeeded, time.monotonic() - started))
    print("\n".join(f"{task:<10} {'ok' if good else 'FAILED':<7}{seconds:7.1f} s" for task, good, seconds in times))
    return 0 if all(good for _, good, _ in times) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
