"""Notebooks as reports: parameters are checked first, a failure is a run too, a killed one leaves no result."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from subjunctive_admin import cli
from subjunctive_admin.errors import SettingsError, UsageError
from subjunctive_admin.kernel import skip_slow_grammar
from subjunctive_admin.reports import (
    RESULT_FILE,
    Notebook,
    Parameter,
    ReportFailed,
    ReportRun,
    checked_parameters,
    find_notebook,
    finish,
    list_notebooks,
    read_notebook,
    run_report,
    write_atomically,
    write_index,
)
from subjunctive_admin.settings import Settings, load_settings
from subjunctive_admin.vocabulary import Status

SECRET = "s3cret-of-the-address"
NOWHERE = f"postgresql://ana:{SECRET}@127.0.0.1:1/nowhere"
IMPORTS = "from subjunctive_admin.reports import begin, finish\nfrom subjunctive_admin.vocabulary import Status"
PARAMETERS = """\
greeting: str = "hello"  # what is said
count: int = 3  # how often
share: float = 0.5
apply: bool = False  # True lets it
level: str = "low"  # one of low, high: how loud
fail_on: str = "none"  # one of none, warning, critical: what makes plain papermill fail
"""


def write_notebook(path: Path, *cells: str, parameters: str = "", **declared: str) -> Path:
    """A notebook with a title, a parameters cell when there are any, and the cells."""
    skip_slow_grammar()
    from nbformat import v4, write

    made = [v4.new_markdown_cell(f"# {path.stem}")]
    if parameters:
        made.append(v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    made += [v4.new_code_cell(cell) for cell in cells]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "subjunctive": declared} if declared else {"kernelspec": kernel}
    write(v4.new_notebook(cells=made, metadata=metadata), path)
    return path


@pytest.fixture
def greeting(tmp_path: Path) -> Notebook:
    """A notebook with a parameter of each type, for tests that do not run it."""
    return read_notebook(write_notebook(tmp_path / "greeting.ipynb", parameters=PARAMETERS))


def elsewhere(**changed: Any) -> Settings:
    return load_settings(database_url=NOWHERE, **changed)


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()}


def result(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
    return read


def kernels() -> list[psutil.Process]:
    """The kernels that this process started and that still run."""
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE and "subjunctive_admin.kernel" in " ".join(child.cmdline())
    ]


# Finding notebooks.


def test_the_suite_is_listed_by_number_and_declares_what_it_is() -> None:
    notebooks = list_notebooks()
    assert [n.number for n in notebooks] == sorted(n.number for n in notebooks)
    for notebook in notebooks:
        assert notebook.audience in ("everyone", "operations", "editors", "analysts"), notebook.name
        assert notebook.effect in ("read", "write"), notebook.name
        assert notebook.role, notebook.name
        parameters = {p.name: p for p in notebook.parameters}
        assert (parameters["fail_on"].default, parameters["fail_on"].choices) == (
            "none",
            ("none", "warning", "critical"),
        )
        assert all(parameter.help for parameter in notebook.parameters), notebook.name
        if "apply" in parameters:
            assert (notebook.effect, parameters["apply"].default) == ("write", False)


@pytest.mark.parametrize("name", ["12_health", "health", "12", "12_health.ipynb"])
def test_a_notebook_is_found_by_each_of_its_names(name: str) -> None:
    found = find_notebook(name)
    assert (found.name, found.short_name, found.number, found.group) == ("12_health", "health", "12", "Operations")


def test_a_notebook_of_ones_own_is_found_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_notebook(tmp_path / "mine.ipynb", title="Mine", audience="analysts")
    monkeypatch.chdir(tmp_path)
    for name in (str(path), "mine.ipynb", "./mine.ipynb"):
        found = find_notebook(name)
        assert (found.path, found.title, found.group, found.number) == (path, "Mine", "Learners", "")
    assert found.effect == "write"  # what does not say that it only reads is taken to write


@pytest.mark.parametrize("name", ["nope", "", "1", "nope.ipynb", "health.ipynb"])
def test_an_unknown_notebook_is_wrong_usage_and_the_next_step_lists_them(name: str) -> None:
    with pytest.raises(UsageError, match=r"There is no notebook '.*'\. Next: subjunctive-admin report list") as caught:
        find_notebook(name)
    assert caught.value.exit_code == 64


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b'{"cells": [{}], "metadata": {}}', b"\xff", b"{"])
def test_a_file_that_is_no_notebook_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.ipynb").write_bytes(content)
    with pytest.raises(UsageError, match=r"mine\.ipynb is no notebook"):
        find_notebook(str(tmp_path / "mine.ipynb"))


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%matplotlib inline", "line 1: invalid syntax"),
        ("a: int = 1\nb: int = (", "line 2: '[(]' was never closed"),
        ("import os\nhome: str = os.environ['HOME']", "line 2: the default of home is no plain value"),
    ],
)
def test_a_parameters_cell_that_cannot_be_read_is_named_with_its_line(tmp_path: Path, cell: str, said: str) -> None:
    path = write_notebook(tmp_path / "mine.ipynb", parameters=cell)
    with pytest.raises(UsageError, match=rf"parameters cell of .*mine\.ipynb cannot be read, {said}"):
        read_notebook(path)


# Parameters.


def test_the_parameters_cell_is_read_with_types_defaults_helps_and_choices(greeting: Notebook) -> None:
    assert greeting.parameters[:5] == (
        Parameter("greeting", "str", "hello", "what is said"),
        Parameter("count", "int", 3, "how often"),
        Parameter("share", "float", 0.5, ""),
        Parameter("apply", "bool", False, "True lets it"),
        Parameter("level", "str", "low", "one of low, high: how loud"),
    )
    assert [parameter.choices for parameter in greeting.parameters[3:5]] == [(), ("low", "high")]


@pytest.mark.parametrize(
    ("name", "given", "typed"),
    [
        ("greeting", "hola", "hola"),
        ("greeting", "", ""),
        ("greeting", "7", "7"),
        ("count", "7", 7),
        ("count", "-7", -7),
        ("count", 8, 8),
        ("share", "0.25", 0.25),
        ("share", "1", 1.0),
        ("share", 2, 2.0),
        ("apply", "true", True),
        ("apply", "False", False),
        ("apply", True, True),
        ("level", "high", "high"),
    ],
)
def test_text_becomes_the_type_that_the_notebook_wants(greeting: Notebook, name: str, given: Any, typed: Any) -> None:
    checked = checked_parameters(greeting, {name: given})
    assert checked == {name: typed}
    assert type(checked[name]) is type(typed)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("colour", "red", "greeting has no parameter 'colour'. Next: its parameters: greeting, count, share, apply"),
        ("count", "three", "The parameter count of greeting is an int, not 'three'. Next: write it like the default"),
        ("count", "3.5", "is an int, not '3.5'"),
        ("count", True, "is an int, not True"),
        ("share", "half", "is a float, not 'half'"),
        ("share", False, "is a float, not False"),
        ("apply", "1", "is a bool, not '1'"),
        ("apply", 1, "is a bool, not 1"),
        ("greeting", 7, "is a str, not 7"),
        ("greeting", None, "is a str, not None"),
        ("level", "medium", "The parameter level of greeting is not 'medium'. Next: use one of low, high"),
    ],
)
def test_a_parameter_that_does_not_fit_is_wrong_usage_by_name(
    greeting: Notebook, name: str, given: Any, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        checked_parameters(greeting, {name: given})
    assert said in str(caught.value)


def test_a_parameter_that_does_not_fit_is_refused_before_anything_is_made(greeting: Notebook, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        run_report(greeting, {"count": "three"}, out=tmp_path / "out", settings=elsewhere())
    assert not (tmp_path / "out").exists()


# Runs.


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which every notebook of this module runs."""
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def fine(out: Path) -> tuple[ReportRun, list[tuple[int, int]]]:
    """A run that says ok, after an older one; and how its cells were counted."""
    path = write_notebook(
        out / "10_fine.ipynb",
        IMPORTS + "\nimport os\nfrom pathlib import Path",
        'there = f"{Path.cwd().name}, {sorted(p.name for p in Path().iterdir())}"',
        "finish(f'{greeting}, {count + 1} times', Status.OK, detail=there)",
        parameters=PARAMETERS,
        title="All is fine",
        audience="operations",
        effect="read",
    )
    folder = out / "10_fine"
    folder.mkdir()
    (folder / RESULT_FILE).write_text('{"status": "critical"}')
    cells: list[tuple[int, int]] = []
    run = run_report(
        read_notebook(path),
        {"greeting": "hola", "count": "7"},
        out=out,
        settings=elsewhere(),
        on_cell=lambda done, total: cells.append((done, total)),
    )
    return run, cells


@pytest.fixture(scope="module")
def warned(out: Path) -> ReportRun:
    """A run with a chart and a finding, which `fail_on` would fail elsewhere."""
    path = write_notebook(
        out / "warned.ipynb",
        IMPORTS,
        """
import plotly.graph_objects as go
from subjunctive_admin.look import Chart, Finding
display(Chart(go.Figure(go.Bar(x=["yo", "tú"], y=[612, 41])), "A bar stands out"))
""",
        'found = [Finding(Status.WARNING, "It is slow.", id="slow", next_step="`wait`")]',
        'finish("1 finding", Status.WARNING, findings=found, fail_on=fail_on)',
        parameters=PARAMETERS,
    )
    return run_report(read_notebook(path), {"fail_on": "warning"}, out=out, settings=elsewhere())


def test_a_run_leaves_the_notebook_its_page_and_its_result(fine: Any, out: Path) -> None:
    run, _cells = fine
    folder = out / "10_fine"
    assert sorted(path.name for path in folder.iterdir()) == ["10_fine.html", "10_fine.ipynb", RESULT_FILE]
    assert result(folder) == run.as_dict()
    assert re.fullmatch(r"fine-\d{8}-\d{6}", run.run_id)
    assert {
        name: value for name, value in run.as_dict().items() if name not in ("detail", "started_at", "seconds")
    } == {
        "name": "10_fine",
        "title": "All is fine",
        "group": "Operations",
        "run_id": run.run_id,
        "status": "ok",
        "headline": "hola, 8 times",
        "parameters": {"greeting": "hola", "count": 7},
        "findings": [],
        "error": None,
        "exit_code": 0,
    }


def test_the_result_of_an_older_run_is_gone_while_the_notebook_runs(fine: Any) -> None:
    run, _cells = fine
    assert run.detail == "10_fine, ['10_fine.ipynb']"


def test_each_cell_is_counted_as_it_ends(fine: Any) -> None:
    _run, cells = fine
    assert cells == sorted(cells)
    assert {total for _done, total in cells} == {5}
    assert cells[-1] == (5, 5)


def test_the_page_is_one_small_file_that_asks_for_nothing(warned: ReportRun, out: Path) -> None:
    page = (out / "warned/warned.html").read_bytes()
    assert len(page) <= 1_200_000
    assert b"A bar stands out" in page
    assert not re.search(rb"""<(script|link|img|iframe)[^>]*(src|href)=["']?(https?:)?//""", page)


def test_a_finding_makes_the_run_a_warning_whatever_fail_on_says(warned: ReportRun, out: Path) -> None:
    assert (warned.status, warned.exit_code, warned.headline) == (Status.WARNING, 1, "1 finding")
    (finding,) = result(out / "warned")["findings"]
    assert (finding["status"], finding["id"], finding["title"]) == ("warning", "slow", "It is slow.")
    assert finding["next_step"] == "`wait`"


def test_a_cell_that_fails_is_critical_with_its_sentence_and_without_the_secret(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_notebook(
        out / "failing.ipynb",
        IMPORTS + "\ndatabase = begin('test')",
        "with database.connection():\n    pass",
        'finish("never said", Status.OK)',
    )
    monkeypatch.setenv("SUBJUNCTIVE_DATABASE_URL", NOWHERE)
    code = cli._run(["report", "run", str(path), "--out", str(out)], debug=False)
    said, told = capsys.readouterr()
    saved = result(out / "failing")
    assert (code, saved["exit_code"], saved["status"], saved["headline"]) == (2, 2, "critical", "The report failed")
    assert saved["error"].startswith("ServerUnreachable: No usable server at 127.0.0.1")
    assert said == f"{out / 'failing' / 'failing.html'}\n"
    assert f"failing: {saved['error']}" in told
    files = texts(out / "failing")
    assert set(files) == {"failing.ipynb", "failing.html", RESULT_FILE}
    # A person reads one sentence, and nobody reads the password.
    assert "ServerUnreachable: No usable server" in files["failing.html"]
    assert "Traceback" not in files["failing.ipynb"]
    assert SECRET not in said + told + "".join(files.values())


@pytest.mark.injects("sys-exit-in-a-notebook")
def test_a_notebook_that_leaves_early_said_nothing_and_is_unknown(out: Path) -> None:
    path = write_notebook(out / "leaving.ipynb", "import sys", "sys.exit(0)", IMPORTS, 'finish("ok", Status.OK)')
    run = run_report(read_notebook(path), out=out, settings=elsewhere())
    assert (run.status, run.exit_code, run.error) == (Status.UNKNOWN, 3, None)
    assert run.headline == "The notebook ended without saying what it found"
    assert result(out / "leaving")["exit_code"] == 3


def test_the_index_lists_every_run_that_left_a_result(fine: Any, warned: ReportRun, out: Path) -> None:
    for name, content in {"killed": None, "other": '{"ours": false}', "cut": '{"name": ', "list": "[]"}.items():
        (out / name).mkdir(exist_ok=True)
        if content is not None:
            (out / name / RESULT_FILE).write_text(content)
    page = write_index(out).read_text(encoding="utf-8")
    whole = result(out)
    assert (
        {"10_fine", "warned"}
        <= {run["name"] for run in whole["reports"]}
        <= {"10_fine", "warned", "failing", "leaving"}
    )
    for run in whole["reports"]:
        assert f'href="{run["name"]}/{run["name"]}.html"' in page
        assert run["headline"] in page
    assert "killed" not in page


def test_an_index_above_another_index_leaves_it_alone(fine: Any, out: Path, tmp_path: Path) -> None:
    above = tmp_path / "above"
    above.mkdir()
    (above / "reports").symlink_to(out)
    write_index(out)
    write_index(above)
    assert result(above) == {"status": "ok", "reports": []}


def test_the_index_takes_the_worst_status_and_says_where_to_begin(tmp_path: Path) -> None:
    for name, status, headline in (
        ("a", Status.OK, "Fine"),
        ("b", Status.WARNING, "Slow"),
        ("c", Status.UNKNOWN, "Dark"),
    ):
        run = ReportRun(name, name.upper(), "Other", f"{name}-1", status, headline, "", "2026-01-01", 1.5, {})
        (tmp_path / name).mkdir()
        write_atomically(tmp_path / name / RESULT_FILE, json.dumps(run.as_dict()))
    page = write_index(tmp_path).read_text(encoding="utf-8")
    assert result(tmp_path)["status"] == "unknown"
    assert "3 reports ran; 2 need you" in page
    assert "Begin with C: Dark." in page


def test_an_index_over_nothing_says_that_no_report_has_run(tmp_path: Path) -> None:
    assert "No report has run." in write_index(tmp_path).read_text(encoding="utf-8")


def test_a_run_leaves_no_socket_and_no_thread_behind(out: Path, warned: ReportRun) -> None:
    path = write_notebook(out / "tidy.ipynb", IMPORTS, 'finish("Tidy", Status.OK)')
    threads, connections = threading.active_count(), len(psutil.Process().net_connections())
    run_report(read_notebook(path), out=out, settings=elsewhere())
    assert (threading.active_count(), len(psutil.Process().net_connections())) == (threads, connections)
    assert kernels() == []


# Plain papermill.


def test_under_plain_papermill_fail_on_decides_whether_a_finding_fails(out: Path) -> None:
    skip_slow_grammar()
    import papermill

    path = write_notebook(
        out / "plain.ipynb", IMPORTS, 'finish("Bad", Status.CRITICAL, fail_on=fail_on)', parameters=PARAMETERS
    )
    with pytest.raises(papermill.PapermillExecutionError, match="critical: Bad"):
        papermill.execute_notebook(path, out / "plain-out.ipynb", {"fail_on": "critical"}, progress_bar=False)


@pytest.mark.parametrize(
    ("fail_on", "failing"),
    [
        ("none", []),
        ("warning", ["warning", "critical", "unknown"]),
        ("critical", ["critical", "unknown"]),
    ],
)
def test_what_could_not_be_seen_fails_like_what_is_critical(
    capsys: pytest.CaptureFixture[str], fail_on: str, failing: list[str]
) -> None:
    failed = []
    for status in Status:
        try:
            finish("Said", status, fail_on=fail_on)
        except ReportFailed as error:
            failed.append(str(error))
    assert failed == [f"{status}: Said" for status in failing]


# Folders.


@pytest.mark.injects("output-folder-not-writable")
def test_a_folder_that_cannot_be_written_is_named_before_anything_runs(greeting: Notebook, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"The folder .*file.* cannot be written: Not a directory\. Next: give ano"):
        run_report(greeting, out=tmp_path / "file" / "out", settings=elsewhere())


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new" * 10_000 + "\udcff")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# Faults.


@pytest.mark.faults
@pytest.mark.injects("notebook-timed-out")
def test_a_notebook_that_never_ends_is_ended_at_its_limit_with_its_kernel(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "endless.ipynb", "import itertools", "for _ in itertools.count(): pass")
    began = time.monotonic()
    run = run_report(read_notebook(path), out=tmp_path, settings=elsewhere(report_timeout=3))
    assert time.monotonic() - began < 3 + 5
    assert (run.status, run.exit_code) == (Status.CRITICAL, 2)
    assert run.detail == run.error == "It was still running after 3 s and was ended."
    assert kernels() == []
    assert result(tmp_path / "endless")["error"] == run.error
    assert (tmp_path / "endless/endless.html").is_file()


@pytest.mark.faults
@pytest.mark.injects("notebook-timed-out")
def test_the_limit_is_that_of_the_whole_run_and_not_of_each_cell(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "slow.ipynb", "import time", *["time.sleep(1.5)"] * 6)
    began = time.monotonic()
    run = run_report(read_notebook(path), out=tmp_path, settings=elsewhere(report_timeout=4))
    assert time.monotonic() - began < 4 + 5
    assert run.error == "It was still running after 4 s and was ended."


@pytest.mark.faults
@pytest.mark.injects("notebook-killed")
def test_a_kernel_that_is_killed_is_said_to_have_died(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "killed.ipynb", "import os", "os.kill(os.getpid(), 9)", IMPORTS)
    run = run_report(read_notebook(path), out=tmp_path, settings=elsewhere())
    assert (run.status, run.error) == (Status.CRITICAL, "Its kernel died.")
    assert result(tmp_path / "killed")["exit_code"] == 2
    assert kernels() == []


Started = Callable[[], tuple[subprocess.Popen[bytes], int]]


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Started]:
    """Runs a report that waits in its second cell, in a process of its own; returns it and its kernel's pid."""
    path = write_notebook(
        tmp_path / "waiting.ipynb",
        "import os, time, pathlib\npathlib.Path('pid').write_text(f'{os.getpid()}.')\ntime.sleep(60)",
    )
    made: list[subprocess.Popen[bytes]] = []

    def start() -> tuple[subprocess.Popen[bytes], int]:
        command = [sys.executable, "-m", "subjunctive_admin", "report", "run", str(path), "--out", str(tmp_path)]
        environment = os.environ | {"SUBJUNCTIVE_DATABASE_URL": NOWHERE}
        made.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        pid = tmp_path / "waiting/pid"
        wait_until(lambda: pid.is_file() and pid.read_text().endswith("."))
        return made[-1], int(pid.read_text().rstrip("."))

    yield start
    for process in made:
        process.kill()
        process.communicate()


def wait_until(happened: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.faults
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_ends_its_kernel_and_leaves_no_result(
    waiting: Started, tmp_path: Path, number: int, code: int
) -> None:
    process, kernel = waiting()
    process.send_signal(number)
    _out, err = process.communicate(timeout=10)
    assert process.returncode == code
    assert b"Traceback" not in err
    wait_until(lambda: not runs(kernel), 5)
    assert not (tmp_path / "waiting" / RESULT_FILE).exists()


@pytest.mark.faults
def test_the_kernel_of_a_killed_run_ends_by_itself_and_no_result_is_left(waiting: Started, tmp_path: Path) -> None:
    process, kernel = waiting()
    process.kill()
    process.wait()
    wait_until(lambda: not runs(kernel), 20)
    assert not (tmp_path / "waiting" / RESULT_FILE).exists()
    assert "waiting" not in write_index(tmp_path).read_text(encoding="utf-8")
