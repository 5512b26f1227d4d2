"""The fast engine gives what a stock kernel gives, ends what runs too long, and leaves no process behind."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from subjunctive_admin import nursery, seeding
from subjunctive_admin.db import Database
from subjunctive_admin.nursery import Nursery, NurseryGone
from subjunctive_admin.reports import ReportRun, list_notebooks, prepared, read_notebook, run_report
from subjunctive_admin.settings import load_settings
from subjunctive_admin.synthetic.loading import ensure
from subjunctive_admin.synthetic.population import Plan
from subjunctive_admin.vocabulary import Status
from tests.conftest import Cluster

pytestmark = pytest.mark.skipif(not nursery.AVAILABLE, reason="needs fork")


@pytest.fixture(scope="module")
def suite() -> Iterator[Nursery]:
    """One prepared process for the tests of this file."""
    with prepared() as made:
        assert made is not None
        yield made


def written(folder: Path, *sources: str, **tags: list[str]) -> Path:
    """A notebook of these cells; `tags` are those of cell_N."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code", "id": f"cell{n}", "metadata": {"tags": tags.get(f"cell_{n}", [])}, "source": source,
            "execution_count": None, "outputs": [],
        }
        for n, source in enumerate(sources)
    ]  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / "made.ipynb"
    document = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def run(path: Path, out: Path, within: Nursery | None, **settings: Any) -> ReportRun:
    return run_report(read_notebook(path), out=out, settings=load_settings(**settings), within=within)


def cells_of(out: Path, name: str = "made") -> list[tuple[Any, list[dict[str, Any]]]]:
    """Execution count and outputs of each code cell, pieces of a stream joined, times and places left out."""
    document = json.loads((out / name / f"{name}.ipynb").read_text(encoding="utf-8"))
    code = (cell for cell in document["cells"] if cell["cell_type"] == "code")
    return [(cell["execution_count"], joined(cell["outputs"])) for cell in code]


def joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pieces of a stream as one, and last; no addresses and numbers of processes in what was said of an error."""
    streams: dict[str, str] = {}
    others = []
    for output in outputs:
        output.pop("metadata", None)
        if output["output_type"] == "stream":
            streams[output["name"]] = streams.get(output["name"], "") + "".join(output["text"])
            continue
        if output["output_type"] == "error":
            said = (output["evalue"], "".join(output["traceback"]))
            output["evalue"], output["traceback"] = (
                re.sub(r"(ipykernel_)\d+|0x[0-9a-f]+", r"\1", text) for text in said
            )
            if output["ename"] == "StdinNotImplementedError":
                del output["traceback"]  # raised by whoever stands in for a keyboard
        others.append(output)
    return [*others, *({"output_type": "stream", "name": name, "text": streams[name]} for name in sorted(streams))]


CELLS = {
    "a value and its count": ("1 + 1", "_ + 1", "None"),
    "both streams": ("import sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.stdout.write('more')",),
    "a shell": ("!echo from a shell",),
    "displays": ("from IPython.display import display, HTML\ndisplay(HTML('<b>x</b>'), 2, {'a': 1})",),
    "a display that changes": (
        "from IPython.display import display\nhandle = display('first', display_id='one')",
        "handle.update('second')",
    ),
    "an output that is cleared": (
        "from IPython.display import clear_output\nprint('gone')\nclear_output()\nprint('kept')",
    ),
    "a frame": ("import pandas\npandas.DataFrame({'a': [1, 2]})",),
    "a figure": (
        "import plotly.graph_objects as go\nfrom subjunctive_admin.look import Chart\nimport pandas",
        "Chart(go.Figure(go.Bar(x=[1], y=[2])), 'A chart', frame=pandas.DataFrame({'x': [1], 'y': [2]}))",
    ),
    "an awaited value": ("import asyncio\nawait asyncio.sleep(0.01)\n'slept'",),
    "magics": ("%env HOME_OF_NOBODY=x", "import os\nos.environ['HOME_OF_NOBODY']", "%%capture kept\nprint('hidden')", "kept.stdout"),
    "no cell at all": ("", "   "),
    "the folder": ("import os\nos.path.basename(os.getcwd())", "__name__"),
    "an interval of text": ("for n in range(3000):\n    print(n)",),
}  # fmt: skip


FAILING = {
    "an error and what follows": ("def f():\n    return 1 / 0", "f()", "print('never')"),
    "a fault of syntax": ("1 +",),
    "a question": ("input('name?')",),
    "leaving with 3": ("import sys\nsys.exit(3)",),
    "leaving with 0": ("import sys\nsys.exit(0)", "print('after')"),
}


def test_the_outputs_of_every_kind_are_those_of_a_stock_kernel(suite: Nursery, tmp_path: Path) -> None:
    path = written(tmp_path, *(source for sources in CELLS.values() for source in sources))
    for name, within in (("fast", suite), ("stock", None)):
        run(path, tmp_path / name, within)
    found = list(zip(cells_of(tmp_path / "fast"), cells_of(tmp_path / "stock"), strict=True))
    assert len(found) == sum(len(sources) for sources in CELLS.values())
    for fast, stock in found:
        assert fast == stock


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[pytest.mark.injects("sys-exit-in-a-notebook")] if "leaving" in case else [])
        for case in FAILING
    ],
)
def test_a_notebook_fails_as_it_does_on_a_stock_kernel(case: str, suite: Nursery, tmp_path: Path) -> None:
    path = written(tmp_path, *FAILING[case])
    fast, stock = run(path, tmp_path / "fast", suite), run(path, tmp_path / "stock", None)
    assert cells_of(tmp_path / "fast") == cells_of(tmp_path / "stock")
    assert (fast.status, fast.headline, fast.error) == (stock.status, stock.headline, stock.error)


def test_what_other_programs_print_is_kept(suite: Nursery, tmp_path: Path) -> None:
    program = "import subprocess\nsubprocess.run(['sh', '-c', 'echo aloud; echo aside >&2']).returncode"
    run(written(tmp_path, program, program), tmp_path / "out", suite)
    said = [{o["name"]: o["text"] for o in outputs if "text" in o} for _, outputs in cells_of(tmp_path / "out")]
    assert said == [{"stdout": "aloud\n", "stderr": "aside\n"}] * 2


def test_a_cell_may_be_allowed_to_fail_or_left_out(suite: Nursery, tmp_path: Path) -> None:
    path = written(tmp_path, "1 / 0", "2", "3", cell_0=["raises-exception"], cell_1=["skip-execution"])
    for name, within in (("fast", suite), ("stock", None)):
        run(path, tmp_path / name, within)
    assert cells_of(tmp_path / "fast") == cells_of(tmp_path / "stock")
    assert [count for count, _ in cells_of(tmp_path / "fast")] == [1, None, 2]


@pytest.fixture(scope="module")
def practised(cluster: Cluster) -> Iterator[Database]:
    """Seeds and learners to report on."""
    with cluster.database(cluster.template) as database:
        with database.session(write=True) as session:
            seeding.seed(session, seeding.read_seeds())
        ensure(database, Plan(40, 4000, 1, datetime(2026, 11, 20, tzinfo=UTC)), processes=1)
        yield database


READING = [notebook for notebook in list_notebooks() if notebook.effect == "read"]
# What depends on the moment: times, the load of a pool, figures of the server.
CHANGING = re.compile(r"\d[\d\s.,:\u202f]*\d|\d")


@pytest.mark.parametrize("notebook", READING, ids=lambda notebook: notebook.name)
def test_every_reading_notebook_says_the_same_on_either_engine(
    notebook: Any, suite: Nursery, practised: Database, tmp_path: Path
) -> None:
    address = practised.url.render_as_string(False)
    said = []
    for name, within in (("fast", suite), ("stock", None)):
        # How fast the server answers is not what is compared.
        settings = load_settings(database_url=address, read_warning=30, read_critical=60)
        # Nor what the run before left in the server's counters.
        only = {"only": "connectivity,schema-integrity,table-access"} if notebook.name == "12_health" else {}
        outcome = run_report(notebook, only, out=tmp_path / name, settings=settings, within=within)
        assert outcome.error is None
        kinds = [
            (count, [(o["output_type"], sorted(o.get("data", {}))) for o in outputs])
            for count, outputs in cells_of(tmp_path / name, notebook.name)
        ]
        said.append((outcome.status, CHANGING.sub("#", outcome.headline), len(outcome.findings), kinds))
    assert said[0] == said[1]


def test_a_notebook_sees_nothing_of_the_one_before(suite: Nursery, tmp_path: Path) -> None:
    leaving = "import builtins, os, json, sys\nbuiltins.left = os.environ['LEFT'] = json.left = 'x'\nos.chdir('/')"
    run(written(tmp_path, leaving), tmp_path / "one", suite)
    looking = "import builtins, os, json\n[hasattr(builtins, 'left'), 'LEFT' in os.environ, hasattr(json, 'left'), os.getcwd()]"
    run(written(tmp_path, looking), tmp_path / "two", suite)
    (_, outputs), *_ = cells_of(tmp_path / "two")
    assert ast.literal_eval("".join(outputs[0]["data"]["text/plain"])) == [
        False,
        False,
        False,
        str(tmp_path / "two/made"),
    ]


@pytest.mark.injects("notebook-killed")
def test_a_dead_process_is_a_dead_kernel_and_what_it_said_is_kept(suite: Nursery, tmp_path: Path) -> None:
    ending = "print('said', flush=True)\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    outcome = run(written(tmp_path, "1", ending, "2"), tmp_path / "out", suite)
    assert (outcome.status, outcome.error) == (Status.CRITICAL, "Its kernel died.")
    assert cells_of(tmp_path / "out")[1][1][0]["text"] == "said\n"
    assert run(written(tmp_path, "2"), tmp_path / "next", suite).error is None


@pytest.mark.parametrize(
    "endless",
    [
        "while True: pass",
        "import time\ntime.sleep(600)",
        "while True:\n    try:\n        import time; time.sleep(600)\n    except BaseException: pass",
        "import signal, os\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))\nos.system('sleep 600')",
    ],
    ids=["busy", "asleep", "stubborn", "in another program"],
)
@pytest.mark.injects("notebook-timed-out")
def test_the_time_limit_is_real_whatever_a_cell_does(endless: str, suite: Nursery, tmp_path: Path) -> None:
    path = written(tmp_path, "import os\nprint(os.getpid(), flush=True)", endless)
    started = time.monotonic()
    outcome = run(path, tmp_path / "out", suite, report_timeout=1.5)
    assert time.monotonic() - started < 10
    assert outcome.error == "It was still running after 1.5 s and was ended."
    document = json.loads((tmp_path / "out" / "made" / "made.ipynb").read_text(encoding="utf-8"))
    pid = int("".join(document["cells"][0]["outputs"][0]["text"]))
    assert gone([pid])


def gone(pids: list[int], within: float = 5) -> bool:
    """Whether none of these processes runs any more; a zombie does not."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not [p for p in pids if psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE]:
            return True
        time.sleep(0.05)
    return False


def test_a_nursery_that_is_gone_says_so() -> None:
    made = Nursery()
    made.close()
    with pytest.raises(NurseryGone):
        made.bear(Path("/"), {})


@pytest.mark.faults
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_a_suite_ends_its_notebooks_end_too(by: signal.Signals, tmp_path: Path) -> None:
    path = written(tmp_path, "import subprocess\nsubprocess.Popen(['sleep', '600'])\nwhile True: pass")
    command = [sys.executable, "-m", "subjunctive_admin", "report", "run", str(path), "--engine", "fast"]
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "out")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    family, deadline = psutil.Process(process.pid), time.monotonic() + 30
    while not any(p.name() == "sleep" for p in family.children(recursive=True)) and time.monotonic() < deadline:
        time.sleep(0.1)
    children = [child.pid for child in family.children(recursive=True)]
    assert len(children) >= 3
    process.send_signal(by)
    _, err = process.communicate(timeout=20)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[by], err
    assert gone(children)


def test_plain_papermill_knows_the_engine(tmp_path: Path) -> None:
    path = written(tmp_path, "number: int = 1", "print(number + 1)", cell_0=["parameters"])
    command = [sys.executable, "-m", "papermill", "--engine", "subjunctive", str(path), str(tmp_path / "out.ipynb")]
    ran = subprocess.run(
        [*command, "-p", "number", "41", "--no-progress-bar"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert ran.returncode == 0, ran.stderr
    document = json.loads((tmp_path / "out.ipynb").read_text(encoding="utf-8"))
    assert document["cells"][-1]["outputs"][0]["text"] == ["42\n"]
