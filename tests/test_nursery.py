"""What a fork of the nursery shares with a stock kernel beyond plain outputs, and what happens when processes end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from subjunctive_admin import nursery
from subjunctive_admin.nursery import Nursery, NurseryGone
from subjunctive_admin.reports import Notebook, ReportRun, prepared, read_notebook, run_report
from subjunctive_admin.settings import load_settings

pytestmark = pytest.mark.skipif(not nursery.AVAILABLE, reason="needs fork")

SHARED = {
    "a loop is running": "import asyncio\nasyncio.get_running_loop().is_running()",
    "asyncio.run is refused": "asyncio.run(asyncio.sleep(0))",
    "a task is started": "async def later():\n    global done\n    done = True\nkept = asyncio.create_task(later())",
    "a task went on between cells": "done",
    "an interrupted await": "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nawait asyncio.sleep(5)",
    "an interrupted cell": "import time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(5)",
    "a descriptor": "import os\nos.write(1, b'raw\\n')",
    "a password": "import getpass\ngetpass.getpass()",
    "a warning": "import warnings\nwarnings.warn('careful')",
    "a traceback": "def divide():\n    return 1 / 0\ntry:\n    divide()\nexcept ZeroDivisionError as error:\n    raise KeyError('x') from error",
    "a failing repr": "class Bad:\n    def __repr__(self):\n        raise ValueError('no')\nBad()",
    "a failing rich repr": "class Worse:\n    def _repr_html_(self):\n        raise ValueError('no')\nWorse()",
    "a picture": "from IPython.display import Image, clear_output, display\nImage(data=b'\\x89PNG\\r\\n\\x1a\\n', format='png')",
    "clearing late": "display(1)\nclear_output(wait=True)\ndisplay(2)",
    "threads": "import threading\nt = threading.Thread(target=print, args=('of a thread',))\nt.start()\nt.join()",
    "forks": "if (child := os.fork()) == 0:\n    print('of a fork', flush=True)\n    os._exit(0)\nos.waitpid(child, 0)[1]",
    "a pool": "import multiprocessing\nwith multiprocessing.get_context('fork').Pool(2) as pool:\n    found = pool.map(abs, [-1, 2])\nfound",
    "the renderer of charts": "import plotly.io\nplotly.io.renderers.default",
    "a chart of one's own": "import plotly.graph_objects as go\ngo.Figure(go.Bar(x=[1], y=[2]))",
    "the environment": "[os.environ.get(name) for name in ('MPLBACKEND', 'TERM', 'PAGER', 'PATH', 'TZ')]",
    "the stream": "import sys\n[sys.stdout.isatty(), sys.stdout.encoding, sys.__stdout__ is sys.stdout, os.getcwd() in sys.path]",
    "the kernel": "get_ipython().kernel.do_execute.__name__",
    "history": "[In[1], len(In), sorted(Out)]",
    "magics": "%lsmagic",
    "another stdout": "import io\nsys.stdout = io.StringIO()\nprint('lost')",
    "after another stdout": "'still answers'",
}  # fmt: skip


def made(folder: Path, *sources: str, tags: tuple[str, ...] = ()) -> Notebook:
    """A notebook of these cells."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code", "id": f"cell{n}", "metadata": {"tags": list(tags)}, "source": source,
            "execution_count": None, "outputs": [],
        }
        for n, source in enumerate(sources)
    ]  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    folder.mkdir(parents=True, exist_ok=True)
    document = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "made.ipynb").write_text(json.dumps(document), encoding="utf-8")
    return read_notebook(folder / "made.ipynb")


def executed(out: Path) -> dict[str, Any]:
    """The notebook as it was left, without the cells in which papermill points at an error."""
    document: dict[str, Any] = json.loads((out / "made/made.ipynb").read_text(encoding="utf-8"))
    document["cells"] = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    return document


def run(notebook: Notebook, out: Path, within: Nursery | None, **settings: Any) -> ReportRun:
    return run_report(notebook, out=out, settings=load_settings(**settings), within=within)


def text_of(out: Path, cell: int = 0) -> str:
    """All that a cell showed, as plain text."""
    outputs = executed(out)["cells"][cell]["outputs"]
    return "".join("".join(o.get("text") or o["data"]["text/plain"]) for o in outputs)


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def wait_until(happened: Callable[[], Any], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def suite() -> Iterator[Nursery]:
    with Nursery() as made:
        yield made


def process_of(suite: Nursery) -> psutil.Process:
    return psutil.Process(suite._process.pid)


# What it shares with a stock kernel.


@pytest.fixture(scope="module")
def both(suite: Nursery, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same cells, each allowed to fail, run in the nursery and on a stock kernel."""
    folder = tmp_path_factory.mktemp("both")
    notebook = made(folder, *SHARED.values(), tags=("raises-exception",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_CURRENT_TEST", "")
        patch.delenv("PYTEST_CURRENT_TEST")  # under a test, a stock kernel leaves the descriptors alone
        for name, within in (("fast", suite), ("stock", None)):
            run(notebook, folder / name, within)
    return executed(folder / "fast"), executed(folder / "stock")


def comparable(cell: dict[str, Any]) -> list[Any]:
    """Count and outputs, pieces of a stream joined, what differs from process to process left out."""
    streams: dict[str, str] = {}
    others = []
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            streams[output["name"]] = streams.get(output["name"], "") + "".join(output["text"])
        else:
            others.append(output)
    said = json.dumps([cell["execution_count"], streams, others], sort_keys=True)
    found: list[Any] = json.loads(re.sub(r"ipykernel_\d+|0x[0-9a-f]+", "N", said))
    return found


@pytest.mark.parametrize("case", SHARED)
def test_a_cell_shows_what_it_shows_on_a_stock_kernel(case: str, both: Any) -> None:
    fast, stock = (document["cells"][list(SHARED).index(case)] for document in both)
    assert comparable(fast) == comparable(stock)


def test_the_metadata_have_the_same_entries(both: Any) -> None:
    fast, stock = both
    assert fast["metadata"]["language_info"] == stock["metadata"]["language_info"]
    assert set(fast["metadata"]["papermill"]) == set(stock["metadata"]["papermill"])
    for mine, theirs in zip(fast["cells"], stock["cells"], strict=True):
        assert set(mine["metadata"]) == set(theirs["metadata"])
        assert set(mine["metadata"]["execution"]) == set(theirs["metadata"]["execution"])
        assert mine["metadata"]["papermill"]["status"] == theirs["metadata"]["papermill"]["status"]


def test_widgets_leave_their_state_and_one_that_captures_text_has_it(suite: Nursery, tmp_path: Path) -> None:
    cell = "import ipywidgets\nslider = ipywidgets.IntSlider(3)\nbox = ipywidgets.Output()\nwith box:\n    print('in')\nbox"
    assert run(made(tmp_path, cell), tmp_path / "out", suite).error is None
    widgets = executed(tmp_path / "out")["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    states = {widget["model_name"]: widget["state"] for widget in widgets.values()}
    assert {"IntSliderModel", "SliderStyleModel", "LayoutModel", "OutputModel"} == set(states)
    assert states["IntSliderModel"]["value"] == 3
    assert [output["text"] for output in states["OutputModel"]["outputs"]] == ["in\n"]


@pytest.mark.parametrize("leaving", ["quit()", "import os; os._exit(0)"])
def test_a_kernel_that_ends_itself_is_a_dead_one(leaving: str, suite: Nursery, tmp_path: Path) -> None:
    outcome = run(made(tmp_path, leaving, "import time\ntime.sleep(1)"), tmp_path / "out", suite)
    assert outcome.error == "Its kernel died."


def test_a_widget_that_captures_much_text_never_blocks(suite: Nursery, tmp_path: Path) -> None:
    cell = "import ipywidgets\nbox = ipywidgets.Output()\nwith box:\n    for _ in range(200):\n        print('x' * 1000, flush=True)"
    assert run(made(tmp_path, cell, "'done'"), tmp_path / "out", suite, report_timeout=30).error is None
    assert text_of(tmp_path / "out", 1) == "'done'"


def test_a_large_cell_and_large_outputs_arrive_whole(suite: Nursery, tmp_path: Path) -> None:
    large = "x" * 2_000_000
    run(made(tmp_path, f"text = '{large}'\nlen(text)", "print(text)\ntext"), tmp_path / "out", suite)
    assert text_of(tmp_path / "out", 0) == "2000000"
    assert text_of(tmp_path / "out", 1) == f"{large}\n'{large}'"


def test_text_of_programs_stands_where_it_was_written(suite: Nursery, tmp_path: Path) -> None:
    # A stock kernel reads it in a thread of its own: now and then it comes after what was printed later.
    run(made(tmp_path, "import os\nprint('1')\nos.system('echo 2')\nprint('3')"), tmp_path / "out", suite)
    assert text_of(tmp_path / "out") == "1\n2\n3\n"


# What is prepared, and what each notebook has of its own.


def test_what_notebooks_import_is_imported_once_and_their_own_modules_are_not(tmp_path: Path) -> None:
    (tmp_path / "neighbour.py").write_text("raise SystemExit('imported too soon')")
    cells = (
        "import sys\n[name in sys.modules for name in ('pandas', 'sqlalchemy', 'neighbour')]",
        "import pandas, neighbour",
    )
    with prepared([made(tmp_path, *cells)]) as suite:
        run(made(tmp_path, cells[0]), tmp_path / "out", suite)
    assert text_of(tmp_path / "out") == "[True, False, False]"


def test_a_file_of_the_folder_shadows_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("queue", "asyncio", "pandas"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    with Nursery() as suite:
        run(made(tmp_path / "n", "import queue, pandas\npandas.__name__"), tmp_path / "out", suite)
    assert text_of(tmp_path / "out") == "'pandas'"


def test_notebooks_draw_different_numbers(suite: Nursery, tmp_path: Path) -> None:
    notebook = made(tmp_path, "import random, numpy\n(random.random(), float(numpy.random.random()))")
    for name in ("one", "two"):
        run(notebook, tmp_path / name, suite)
    one, two = (text_of(tmp_path / name).strip("()").split(", ") for name in ("one", "two"))
    assert one[0] != two[0]
    assert one[1] != two[1]


def test_the_environment_is_that_of_the_run(suite: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    monkeypatch.setenv("SAID_LATER", "yes")
    cell = "import os, time\nprint(os.environ['SAID_LATER'], time.tzname[0], os.environ['SUBJUNCTIVE_HOME'])"
    run(made(tmp_path, cell), tmp_path / "out", suite, home=tmp_path / "home")
    assert text_of(tmp_path / "out") == f"yes +14 {tmp_path / 'home'}\n"


def test_suites_run_side_by_side(tmp_path: Path) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    # Each waits until all three are there.
    cell = (
        f"import os, pathlib, time\nmeeting = pathlib.Path({str(meeting)!r})\n(meeting / str(os.getpid())).touch()\n"
        "until = time.monotonic() + 20\n"
        "while len(list(meeting.iterdir())) < 3 and time.monotonic() < until:\n    time.sleep(0.01)\n"
        "len(list(meeting.iterdir()))"
    )
    notebook = made(tmp_path, cell)
    commands = [
        [sys.executable, "-m", "subjunctive_admin", "report", "run", str(notebook.path), "--engine", "fast",
         "--out", str(tmp_path / name)]
        for name in "abc"
    ]  # fmt: skip
    processes = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands
    ]
    codes = [process.wait(60) for process in processes]
    assert codes == [3, 3, 3]  # it says nothing by finish()
    assert [text_of(tmp_path / name) for name in "abc"] == ["3", "3", "3"]


# What ends.


@pytest.mark.injects("notebook-timed-out")
def test_what_was_printed_before_the_time_limit_is_kept(suite: Nursery, tmp_path: Path) -> None:
    endless = "import os, time\nprint('by Python')\nos.system('echo by a program')\ntime.sleep(600)"
    outcome = run(made(tmp_path, endless), tmp_path / "out", suite, report_timeout=2)
    assert outcome.error == "It was still running after 2 s and was ended."
    assert text_of(tmp_path / "out") == "by Python\nby a program\n"


def test_a_notebook_leaves_no_process_and_no_zombie_however_it_ends(suite: Nursery, tmp_path: Path) -> None:
    starting = "import subprocess, os\nprint(subprocess.Popen(['sleep', '600']).pid)"
    for number, ending in enumerate(("1", "1 / 0", "os.kill(os.getpid(), 9)", "import time\ntime.sleep(600)")):
        out = tmp_path / str(number)
        run(made(tmp_path, starting, ending), out, suite, report_timeout=2)
        wait_until(lambda out=out: not alive(int(text_of(out))))  # type: ignore[misc]
    wait_until(lambda: process_of(suite).children() == [])


def test_closing_ends_a_notebook_that_still_runs_and_a_closed_nursery_bears_no_other(tmp_path: Path) -> None:
    with Nursery() as suite:
        kernel = suite.bear(tmp_path, os.environ)
        asyncio.run(kernel.wait_for_ready(20))
        kernel.execute("open('runs', 'w')\nwhile True:\n    pass")
        wait_until((tmp_path / "runs").exists)
    assert kernel.pid is not None
    assert not alive(kernel.pid)
    with pytest.raises(NurseryGone):
        suite.bear(tmp_path, {})


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a child is not told of its parent's death")
@pytest.mark.injects("notebook-killed")
def test_a_notebook_that_kills_its_nursery_fails_alone(tmp_path: Path) -> None:
    with Nursery() as suite:
        killing = made(tmp_path, "import os, time\nos.kill(os.getppid(), 9)\ntime.sleep(600)")
        assert run(killing, tmp_path / "one", suite).error == "Its kernel died."
        run(made(tmp_path, "'another one'"), tmp_path / "two", suite)
    assert text_of(tmp_path / "two") == "'another one'"


@pytest.mark.faults
def test_a_nursery_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = "from subjunctive_admin.nursery import Nursery\nn = Nursery()\nprint(n._process.pid, flush=True)\ninput()"
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    wait_until(lambda: not alive(pid))
