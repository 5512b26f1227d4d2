"""Notebooks as reports: find them, check their parameters, run them by papermill, keep what they say.

A run leaves `NAME/` with the executed notebook, one offline HTML page and `result.json`, written last
and at once: a folder without it holds a run that was killed. The same notebooks run under plain
papermill, where `fail_on` decides whether a finding fails them.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import time
import tokenize
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from subjunctive_admin import nursery
from subjunctive_admin.errors import SettingsError, SubjunctiveError, UsageError
from subjunctive_admin.kernel import skip_slow_grammar
from subjunctive_admin.nursery import Nursery
from subjunctive_admin.resources import resource_folder
from subjunctive_admin.vocabulary import EXIT_CODE_OF_STATUS, Status, overall

if TYPE_CHECKING:
    from subjunctive_admin.db import Database
    from subjunctive_admin.look import Finding
    from subjunctive_admin.reports_kernel import QuickKernelManager
    from subjunctive_admin.settings import Settings

RESULT_MIME = "application/vnd.subjunctive.result+json"
RESULT_FILE = "result.json"
_GROUPS = {"everyone": "Start", "operations": "Operations", "editors": "Content", "analysts": "Learners"}
_TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
_CHOICES_PREFIX = "one of "
# What is slow to import, and does nothing but define when it is; a notebook's own modules stay its own.
_IMPORTED_ONCE = ("ipywidgets", "numpy", "pandas", "plotly", "sqlalchemy", "subjunctive_admin")

OnCell = Callable[[int, int], None]


class ReportFailed(SubjunctiveError):
    """A finding reached the severity that `fail_on` names."""


@dataclass(frozen=True)
class Parameter:
    """One line of a notebook's parameters cell: `name: type = default  # help`."""

    name: str
    type: str
    default: Any
    help: str

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that a help text `one of a, b, c: why` allows; empty when any goes."""
        if not self.help.startswith(_CHOICES_PREFIX):
            return ()
        return tuple(part.strip() for part in self.help.removeprefix(_CHOICES_PREFIX).split(":")[0].split(","))


@dataclass(frozen=True)
class Notebook:
    """A notebook of the suite, or one of the user's own, and what its metadata declares."""

    name: str
    path: Path
    title: str
    audience: str
    role: str
    effect: str
    parameters: tuple[Parameter, ...]

    @property
    def short_name(self) -> str:
        """The name without its number: `health` for `12_health`."""
        return self.name.split("_", 1)[-1] if self.name[:2].isdigit() else self.name

    @property
    def number(self) -> str:
        """The number that orders the suite; empty for a notebook without one."""
        return self.name[:2] if self.name[:2].isdigit() else ""

    @property
    def group(self) -> str:
        """The heading it stands under."""
        return _GROUPS.get(self.audience, "Other")


@dataclass(frozen=True)
class ReportRun:
    """What one run said; the same as its result.json."""

    name: str
    title: str
    group: str
    run_id: str
    status: Status
    headline: str
    detail: str
    started_at: str
    seconds: float
    parameters: Mapping[str, Any]
    findings: Sequence[Mapping[str, Any]] = field(default_factory=list)
    error: str | None = None

    @property
    def exit_code(self) -> int:
        """0 ok, 1 warning, 2 critical or failed, 3 unknown."""
        return EXIT_CODE_OF_STATUS[self.status]

    def as_dict(self) -> dict[str, Any]:
        """The run as plain JSON."""
        return {**asdict(self), "status": self.status.value, "exit_code": self.exit_code}


def list_notebooks(folder: Path | None = None) -> list[Notebook]:
    """Every notebook of the suite, in the order of its number."""
    return [read_notebook(path) for path in sorted((folder or resource_folder("notebooks")).glob("*.ipynb"))]


def find_notebook(name: str) -> Notebook:
    """The notebook called `name` (`12_health`, `health`, or a path to any notebook).

    Raises `UsageError` when there is none.
    """
    path = Path(name)
    if path.suffix == ".ipynb" and path.is_file():
        return read_notebook(path)
    matching = [n for n in list_notebooks() if name in (n.name, n.short_name, n.number, n.path.name)]
    if not matching:
        raise UsageError(f"There is no notebook {name!r}.", next_step="subjunctive-admin report list")
    return matching[0]


def read_notebook(path: Path) -> Notebook:
    """What a notebook file declares.

    Raises `UsageError` when the file is no notebook.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        declared = document["metadata"].get("subjunctive", {})
        code = [c for c in document["cells"] if c["cell_type"] == "code"]
        tagged = (c for c in code if "parameters" in c.get("metadata", {}).get("tags", []))
        source = "".join(next(tagged, {"source": ""})["source"])
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no notebook: {type(error).__name__}.", next_step="give an .ipynb file") from error
    try:
        parameters = tuple(_parameters(source))
    except SyntaxError as error:
        raise UsageError(
            f"The parameters cell of {path} cannot be read, line {error.lineno}: {error.msg}.",
            next_step="write each parameter as `name: type = default  # help`, with a plain value",
        ) from error
    return Notebook(
        name=path.stem,
        path=path.resolve(),
        title=declared.get("title", path.stem),
        audience=declared.get("audience", "other"),
        role=declared.get("role", ""),
        effect=declared.get("effect", "write"),
        parameters=parameters,
    )


def _parameters(source: str) -> Iterator[Parameter]:
    parsed = ast.parse(source)  # first: what tokenize says of a fault names no line
    comments = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokenize.generate_tokens(StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    for node in parsed.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            try:
                default = ast.literal_eval(node.value)
            except ValueError:
                said = f"the default of {node.target.id} is no plain value"
                raise SyntaxError(said, (None, node.lineno, None, None)) from None
            yield Parameter(node.target.id, ast.unparse(node.annotation), default, comments.get(node.lineno, ""))


def checked_parameters(notebook: Notebook, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values, text turned into each parameter's type.

    Raises `UsageError` naming the first unknown parameter or value of the wrong type.
    """
    known = {parameter.name: parameter for parameter in notebook.parameters}
    for name in given:
        if name not in known:
            names = ", ".join(known) or "none"
            raise UsageError(f"{notebook.name} has no parameter {name!r}.", next_step=f"its parameters: {names}")
    return {name: _typed(notebook, known[name], value) for name, value in given.items()}


def _typed(notebook: Notebook, parameter: Parameter, value: Any) -> Any:
    wanted = _TYPES.get(parameter.type, str)
    try:
        typed = _from_text(wanted, value) if isinstance(value, str) else value
    except ValueError:
        typed = None
    if type(typed) is int and wanted is float:
        typed = float(typed)
    if type(typed) is not wanted:
        article = "an" if parameter.type == "int" else "a"
        raise UsageError(
            f"The parameter {parameter.name} of {notebook.name} is {article} {parameter.type}, not {value!r}.",
            next_step=f"write it like the default, {parameter.name}={parameter.default}",
        )
    if parameter.choices and typed not in parameter.choices:
        raise UsageError(
            f"The parameter {parameter.name} of {notebook.name} is not {value!r}.",
            next_step=f"use one of {', '.join(parameter.choices)}",
        )
    return typed


def _from_text(wanted: type, value: str) -> Any:
    if wanted is not bool:
        return wanted(value)
    if value.lower() not in ("true", "false"):
        raise ValueError(value)
    return value.lower() == "true"


def run_report(
    notebook: Notebook,
    parameters: Mapping[str, Any] | None = None,
    *,
    out: Path,
    settings: Settings | None = None,
    on_cell: OnCell | None = None,
    within: Nursery | None = None,
) -> ReportRun:
    """Run one notebook into `out/NAME/`, within the settings' time limit; a failure is a run too.

    On a Jupyter kernel of its own, or `within` a nursery (see `prepared`), which is faster and gives the same outputs.
    `on_cell(done, total)` is called after each cell. Raises `UsageError` before anything runs when a
    parameter does not fit, `SettingsError` when the folder cannot be written.
    """
    from subjunctive_admin.settings import load_settings  # noqa: PLC0415 - a kernel that only calls finish() needs none

    settings = settings or load_settings()
    checked = checked_parameters(notebook, parameters or {})
    folder = _prepared_folder(out / notebook.name)
    started = datetime.now(UTC)
    clock = time.monotonic()
    executed = folder / f"{notebook.name}.ipynb"
    with _kernel_environment(settings):
        error = _execute(notebook, executed, checked, settings.report_timeout, on_cell, within)
    said = _said(executed)
    status, headline, detail = _outcome(said, error)
    run = ReportRun(
        name=notebook.name,
        title=notebook.title,
        group=notebook.group,
        run_id=f"{notebook.short_name}-{started:%Y%m%d-%H%M%S}",
        status=status,
        headline=headline,
        detail=detail,
        started_at=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - clock, 2),
        parameters=checked,
        findings=(said or {}).get("findings", []),
        error=error,
    )
    _write_page(notebook, executed, folder / f"{notebook.name}.html", run, started)
    write_atomically(folder / RESULT_FILE, json.dumps(run.as_dict(), ensure_ascii=False, indent=2) + "\n")
    _remember(run, notebook, started, settings)
    return run


def _remember(run: ReportRun, notebook: Notebook, started: datetime, settings: Settings) -> None:
    """One line of the run history; one that cannot be written is said and changes nothing."""
    from subjunctive_admin.narration import Narrator  # noqa: PLC0415 - a kernel that only calls finish() needs none
    from subjunctive_admin.ops.history import Run, database_name, remember  # noqa: PLC0415

    url = settings.database_url
    name = database_name(url.get_secret_value()) if url else None
    facts = {"notebook": notebook.name, "failed": run.error is not None, "findings": len(run.findings)}
    ended = started + timedelta(seconds=run.seconds)
    line = Run("report", run.run_id, started, ended, run.status, run.headline, name, facts)
    remember(settings.home, line, Narrator().say)


def _prepared_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RESULT_FILE).unlink(missing_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SettingsError(
            f"The folder {folder} cannot be written: {error.strerror}.", next_step="give another one with --out"
        ) from error
    return folder


def prepared(notebooks: Sequence[Notebook] = ()) -> AbstractContextManager[Nursery | None]:
    """A nursery for these notebooks; None where there is no fork, and each gets a kernel of its own.

    What they import is imported once, beside whatever is done first; without any, what most notebooks need.
    """
    if not nursery.AVAILABLE:
        return nullcontext()
    names = dict.fromkeys(name for notebook in notebooks for name in _imported(notebook))
    return Nursery([name for name in names if name.split(".")[0] in _IMPORTED_ONCE] or nursery.PREPARED)


def _imported(notebook: Notebook) -> Iterator[str]:
    cells = json.loads(notebook.path.read_text(encoding="utf-8"))["cells"]
    for source in ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"):
        try:
            statements = ast.walk(ast.parse(source))
        except SyntaxError:  # a magic, or a fault that the run will show
            continue
        for statement in statements:
            if isinstance(statement, ast.Import):
                yield from (name.name for name in statement.names)
            elif isinstance(statement, ast.ImportFrom) and statement.module:
                yield statement.module
                yield from (f"{statement.module}.{name.name}" for name in statement.names)


def _execute(
    notebook: Notebook,
    executed: Path,
    parameters: Mapping[str, Any],
    limit: float,
    on_cell: OnCell | None,
    within: Nursery | None,
) -> str | None:
    """Run the notebook; returns why it failed, in one sentence, or None."""
    skip_slow_grammar()
    deadline = time.monotonic() + limit
    total = len(json.loads(notebook.path.read_text(encoding="utf-8"))["cells"])

    def progress(cell: Any, cell_index: int) -> None:
        del cell
        if on_cell:
            on_cell(min(cell_index + 1, total), total)

    # The kernel starts while papermill, and what the page needs, are imported here.
    with within.bear(executed.parent, os.environ) if within else _kernel_at(executed.parent) as kernel:
        import papermill  # noqa: PLC0415 - a third of a second that only a run needs
        from nbclient.exceptions import CellTimeoutError, DeadKernelError  # noqa: PLC0415
        from papermill.exceptions import PapermillExecutionError  # noqa: PLC0415

        for needed_by_the_page in ("jinja2", "mistune", "subjunctive_admin.look.page"):
            importlib.import_module(needed_by_the_page)
        try:
            papermill.execute_notebook(
                notebook.path,
                executed,
                dict(parameters),
                kernel_name="python3",
                progress_bar=False,
                cwd=executed.parent,
                km=kernel,
                # nbclient asks before each cell: what is left of the whole run's time is the cell's limit.
                timeout_func=lambda _cell: max(deadline - time.monotonic(), 0.01),
                on_cell_complete=progress,
            )
        except PapermillExecutionError as error:
            return f"{error.ename}: {error.evalue}"
        except CellTimeoutError:
            return f"It was still running after {limit:g} s and was ended."
        except DeadKernelError:
            return "Its kernel died."
    return None


@contextmanager
def _kernel_at(folder: Path) -> Iterator[QuickKernelManager]:
    """A kernel working in `folder`, ended at once afterwards: its last cell is done, or it hangs."""
    from jupyter_core.utils import run_sync  # noqa: PLC0415

    from subjunctive_admin.reports_kernel import QuickKernelManager  # noqa: PLC0415

    manager = QuickKernelManager(kernel_name="python3")
    run_sync(manager.start_kernel)(cwd=str(folder))
    try:
        yield manager
        # Killed before it is waited for: the wait looks only every tenth of a second.
        if manager.provisioner is not None:
            run_sync(manager.provisioner.kill)()
    finally:
        run_sync(manager.shutdown_kernel)(now=True)
        manager.close_clients()


def _said(executed: Path) -> dict[str, Any] | None:
    """What the notebook gave to `finish`; None when it never got there."""
    if not executed.is_file():
        return None
    for cell in reversed(json.loads(executed.read_text(encoding="utf-8"))["cells"]):
        for output in reversed(cell.get("outputs", [])):
            if RESULT_MIME in output.get("data", {}):
                said: dict[str, Any] = output["data"][RESULT_MIME]
                return said
    return None


def _outcome(said: Mapping[str, Any] | None, error: str | None) -> tuple[Status, str, str]:
    if said is not None and (error is None or error.startswith(ReportFailed.__name__)):
        return Status(said["status"]), said["headline"], said["detail"]
    if error is not None:
        return Status.CRITICAL, "The report failed", error
    return Status.UNKNOWN, "The notebook ended without saying what it found", "Its last cell calls finish()."


def _write_page(notebook: Notebook, executed: Path, page: Path, run: ReportRun, at: datetime) -> None:
    from subjunctive_admin.look.page import report_html  # noqa: PLC0415 - loads nbformat

    skip_slow_grammar()
    import nbformat  # noqa: PLC0415

    source = executed if executed.is_file() else notebook.path
    html = report_html(
        nbformat.read(source, as_version=4),
        title=notebook.title,
        audience=notebook.title,
        generated_at=at,
        run_id=run.run_id,
        result=run.as_dict(),
    )
    write_atomically(page, html)


def write_atomically(path: Path, content: str) -> None:
    """Write a file beside its name and rename it: a reader sees the old one or the new one, whole."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _kernel_environment(settings: Settings) -> Iterator[None]:
    """Kernels inherit this process' environment: let it say what these settings say, for the run."""
    wanted = {
        "SUBJUNCTIVE_HOME": str(settings.home),
        "SUBJUNCTIVE_EMBEDDED_MAJOR": str(settings.embedded_major),
        "SUBJUNCTIVE_DATABASE_URL": settings.database_url.get_secret_value() if settings.database_url else "",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def write_index(out: Path, *, title: str | None = None, about: Sequence[tuple[str, str]] = ()) -> Path:
    """Write `out/index.html` over every run in `out` that left a result; returns its path."""
    from subjunctive_admin.look.page import IndexEntry, index_html  # noqa: PLC0415

    runs = [run for path in sorted(out.glob(f"*/{RESULT_FILE}")) if (run := _result_in(path)) is not None]
    entries = [
        IndexEntry(
            number=run["name"][:2] if run["name"][:2].isdigit() else "",
            name=run["name"],
            title=run["title"],
            group=run["group"],
            status=Status(run["status"]),
            finding=run["headline"],
            detail=run["detail"],
            seconds=run["seconds"],
            href=f"{run['name']}/{run['name']}.html",
            notebook_href=f"{run['name']}/{run['name']}.ipynb",
        )
        for run in runs
    ]
    page = out / "index.html"
    html = index_html(
        entries,
        title=title or _index_title(entries),
        summary=_index_summary(entries),
        generated_at=datetime.now(UTC),
        about=[("Reports", str(len(entries))), ("Time in all", f"{sum(e.seconds for e in entries):.1f} s"), *about],
        commands=[
            ("Run one again", "subjunctive-admin report run health"),
            ("Run them all", "subjunctive-admin report all"),
            ("List them", "subjunctive-admin report list"),
        ],
    )
    write_atomically(page, html)
    whole = {"status": overall([e.status for e in entries]).value, "reports": runs}
    write_atomically(out / RESULT_FILE, json.dumps(whole, ensure_ascii=False, indent=2) + "\n")
    return page


def _result_in(path: Path) -> dict[str, Any] | None:
    """A run's result; None for a file that another program, or an index, wrote under that name."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(result, dict) and {f.name for f in fields(ReportRun)} <= set(result)
    return result if ours else None


def _index_title(entries: Sequence[Any]) -> str:
    needing = [e for e in entries if EXIT_CODE_OF_STATUS[e.status]]
    noun = "report" if len(entries) == 1 else "reports"
    if not needing:
        return f"{len(entries)} {noun} ran; nothing needs you"
    return f"{len(entries)} {noun} ran; {len(needing)} {'needs' if len(needing) == 1 else 'need'} you"


def _index_summary(entries: Sequence[Any]) -> str:
    needing = [e for e in entries if EXIT_CODE_OF_STATUS[e.status]]
    if not needing:
        return "Everything that was looked at is as it should be."
    worst = max(needing, key=lambda e: (e.status is Status.CRITICAL, e.status is Status.UNKNOWN))
    return f"Begin with {worst.title}: {worst.finding}."


def begin(purpose: str = "notebook") -> Database:
    """First call of a notebook: apply the style, turn errors into sentences, open the database."""
    from IPython.core.getipython import get_ipython  # noqa: PLC0415
    from IPython.display import display  # noqa: PLC0415

    from subjunctive_admin.db import open_database  # noqa: PLC0415 - the process that runs notebooks needs no database
    from subjunctive_admin.look import use_style  # noqa: PLC0415

    shell = get_ipython()
    if shell is not None:
        shell.set_custom_exc((SubjunctiveError,), _say_error)
    display(use_style())
    return open_database(purpose=purpose)


def _say_error(shell: Any, kind: type[BaseException], value: BaseException, _trace: Any, tb_offset: Any = None) -> None:
    del tb_offset
    shell._showtraceback(kind, value, [f"{kind.__name__}: {value}"])  # noqa: SLF001 - IPython's own handlers do so


def finish(
    headline: str,
    status: Status,
    *,
    detail: str = "",
    findings: Sequence[Finding] = (),
    fail_on: str = "none",
) -> None:
    """Last call of a notebook: record what it found; the run's result.json is made of this.

    Raises `ReportFailed` when `fail_on` is `warning` or `critical` and the status reaches it
    (unknown counts as critical: what could not be seen is not fine).
    """
    from IPython.display import display  # noqa: PLC0415

    said = {
        "status": Status(status).value,
        "headline": headline,
        "detail": detail,
        "findings": [{**asdict(finding), "status": finding.status.value} for finding in findings],
    }
    summary = f"{Status(status).value}: {headline}"
    display({RESULT_MIME: said, "text/plain": summary}, raw=True)
    failing = {"warning": (1, 2, 3), "critical": (2, 3)}.get(fail_on, ())
    if EXIT_CODE_OF_STATUS[Status(status)] in failing:
        raise ReportFailed(summary)
