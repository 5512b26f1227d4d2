"""JupyterLab on the reader's own copies of the suite's notebooks, with a Jupyter set-up of its own.

    HOME/notebooks   the workspace: copies that follow the suite until somebody edits them, and whatever else
                     is put there; `.subjunctive-admin.json` says what was written last
    HOME/jupyter     JupyterLab's configuration, settings, layout and kernels; the person's own Jupyter
                     set-up is neither read nor changed

The server is this process: killed in whatever way, it leaves no server behind, and kernels watch their parent.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from subjunctive_admin.db import open_database
from subjunctive_admin.errors import CouldNotBegin, NotSetUp, SettingsError
from subjunctive_admin.kernel import skip_slow_grammar
from subjunctive_admin.narration import Narrator
from subjunctive_admin.reports import write_atomically
from subjunctive_admin.resources import resource_folder
from subjunctive_admin.schema import require_current
from subjunctive_admin.settings import Settings

MANIFEST = ".subjunctive-admin.json"
LOCK = ".subjunctive-admin.lock"
FIRST = "00_start.ipynb"
HOST = "127.0.0.1"
_LOCK_SECONDS = 60.0
_UNKNOWN, _UNREADABLE = "unknown", "unreadable"  # in place of a digest, and equal to none
_KERNEL = "python3"
_KERNEL_OPTIONS = ("--IPKernelApp.log_level=ERROR",)  # it warns of TCP at each start; only loopback is used
# Written again at each start; what a person sets in JupyterLab is kept elsewhere and wins.
_QUIET = {
    "default_setting_overrides": {
        "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    },
    "page_config": {
        "disabledExtensions": {
            "@jupyterlab/apputils-extension:announcements": True,
            "@jupyterlab/extensionmanager-extension": True,
        }
    },
}


class Change(StrEnum):
    """What became of one notebook of the workspace; the value ends a sentence about it."""

    ADDED = "was copied"
    UPDATED = "follows the suite's new version; it was not edited here"
    RESTORED = "had been deleted and is back"
    OFFERED = "was edited here and is kept; the suite's new version is beside it"
    REMOVED = "is no longer part of the suite and was not edited here, so it was removed"
    KEPT = "is no longer part of the suite; it was edited here and is yours now"


@dataclass(frozen=True)
class Changed:
    """One notebook and what became of it; `offer` is the file with the new version."""

    name: str
    change: Change
    offer: str | None = None

    def __str__(self) -> str:
        """The sentence that a person reads."""
        return f"{self.name} {self.change.value}{f': {self.offer}' if self.offer else ''}."


@dataclass
class _Entry:
    """What the manifest remembers of a notebook: digests of what was written, and of what was offered beside it."""

    written: str
    offered: str | None = None
    offer: str | None = None


def notebook_digest(text: str) -> str:
    """A hash of what a person writes in a notebook: its cells' kinds, sources and tags, in their order.

    Outputs, counts, the kernel's name and the empty cell that running the last one appends are no edit.
    Raises ValueError for text that is no notebook.
    """
    try:
        document = json.loads(text)
        cells = [_written(cell) for cell in document["cells"]]
        declared = document["metadata"].get("subjunctive")
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no notebook: {type(error).__name__}") from error
    said = json.dumps([[cell for cell in cells if cell[1].strip()], declared], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _written(cell: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    source = "".join(cell["source"]).replace("\r\n", "\n")
    return cell["cell_type"], source.rstrip(), sorted(cell.get("metadata", {}).get("tags", ()))


def prepare_workspace(folder: Path, source: Path | None = None) -> list[Changed]:
    """Bring the suite's notebooks into `folder`; what was edited there, and every other file, is left alone.

    Unedited copies follow the suite; beside an edited one its new version is laid, once. Safe to kill and to
    run twice at a time. Raises `SettingsError` when the folder cannot be used.
    """
    source = source or resource_folder("notebooks")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.samefile(source):  # the suite's developers edit the originals
            return []
        with FileLock(folder / LOCK, timeout=_LOCK_SECONDS, mode=0o600):
            return _Workspace(folder).follow(source)
    except Timeout:
        raise SettingsError(
            f"Another subjunctive-admin lab has been preparing {folder} for a minute.", next_step="try again"
        ) from None
    except OSError as error:
        raise SettingsError(
            f"The notebooks' folder {folder} cannot be used: {error.strerror}.",
            next_step="correct its rights, or give another one with --workspace",
        ) from error


class _Workspace:
    """A locked workspace and its manifest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries = _read_manifest(folder / MANIFEST)
        self.changed: list[Changed] = []

    def follow(self, source: Path) -> list[Changed]:
        for remains in self.folder.glob(".*.partial"):  # of a copy that was killed
            remains.unlink(missing_ok=True)
        shipped = {path.name: path.read_text(encoding="utf-8") for path in sorted(source.glob("*.ipynb"))}
        for name in sorted(self.entries.keys() - shipped.keys()):
            self._retire(name, self.entries.pop(name))
        for name, text in shipped.items():
            self._bring(name, text)
        entries = {name: asdict(entry) for name, entry in self.entries.items()}
        # Last: killed before this, the next start finds the notebooks as they are shipped and says so here.
        write_atomically(self.folder / MANIFEST, json.dumps({"notebooks": entries}, indent=1) + "\n")
        return self.changed

    def _bring(self, name: str, text: str) -> None:
        entry, found, shipped = self.entries.get(name), self._digest(name), notebook_digest(text)
        if found == shipped:
            self._settle(name, shipped)
        elif found is None:
            self._copy(name, text, Change.RESTORED if entry else Change.ADDED)
        elif entry and found == entry.written:
            self._copy(name, text, Change.UPDATED)
        elif not entry or shipped not in (entry.written, entry.offered):
            self._offer(name, text, entry or _Entry(_UNKNOWN))

    def _copy(self, name: str, text: str, change: Change) -> None:
        write_atomically(self.folder / name, text)
        self._settle(name, notebook_digest(text))
        self.changed.append(Changed(name, change))

    def _settle(self, name: str, shipped: str) -> None:
        """The copy is the suite's: an offer that nobody edited has served its time."""
        if entry := self.entries.get(name):
            self._withdraw(entry)
        self.entries[name] = _Entry(shipped)

    def _offer(self, name: str, text: str, entry: _Entry) -> None:
        self._withdraw(entry)
        stem, shipped = Path(name).stem, notebook_digest(text)
        names = (f"{stem}.new{number if number > 1 else ''}.ipynb" for number in count(1))
        offer = next(free for free in names if self._digest(free) in (None, shipped))
        write_atomically(self.folder / offer, text)
        self.entries[name] = _Entry(entry.written, shipped, offer)
        self.changed.append(Changed(name, Change.OFFERED, offer))

    def _withdraw(self, entry: _Entry) -> None:
        if entry.offer and self._digest(entry.offer) == entry.offered:
            (self.folder / entry.offer).unlink()

    def _retire(self, name: str, entry: _Entry) -> None:
        found = self._digest(name)
        self._withdraw(entry)
        if found == entry.written:
            (self.folder / name).unlink()
        if found is not None:
            self.changed.append(Changed(name, Change.REMOVED if found == entry.written else Change.KEPT))

    def _digest(self, name: str) -> str | None:
        """The digest of a file of the workspace, `_UNREADABLE` for what is no notebook, None for nothing."""
        path = self.folder / name
        try:
            return notebook_digest(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return _UNREADABLE if path.is_symlink() else None
        except (OSError, ValueError):
            return _UNREADABLE


def _read_manifest(path: Path) -> dict[str, _Entry]:
    """The entries; none where the manifest is missing or damaged, which makes every differing copy an edited one."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["notebooks"]
        return {name: _Entry(**entry) for name, entry in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def open_lab(
    settings: Settings,
    narrator: Narrator,
    *,
    on_address: Callable[[str], None],
    workspace: Path | None = None,
    port: int = 0,
    browser: bool = True,
) -> None:
    """Prepare the workspace, see to the database, and serve until somebody ends it.

    `on_address` gets the address with its token once the server listens. A signal that ended it is raised
    again after the kernels are gone. Raises `CouldNotBegin` (no database, unusable folder, taken port).
    """
    folder = workspace or settings.home / "notebooks"
    _see_to_database(settings, narrator)
    for sentence in _sentences(prepare_workspace(folder), folder):
        narrator.say(sentence)
    state = _prepare_jupyter(settings.home / "jupyter")

    def announce(address: str) -> None:
        narrator.say(f"JupyterLab works in {folder}; Ctrl-C ends it.")
        on_address(address)

    with _environment(settings, state):
        ended_by = _serve(_traits(folder, port, browser), announce)
    if ended_by is not None:
        signal.raise_signal(ended_by)


def _see_to_database(settings: Settings, narrator: Narrator) -> None:
    narrator.progress("Looking at the database ...")
    database = open_database(settings, purpose="lab")
    try:
        with database.connection() as connection:
            require_current(connection)
    except NotSetUp as error:  # a notebook can do it too, so JupyterLab opens all the same
        narrator.say(f"{error.message} Next: {error.next_step}, or open 10_setup.")
    finally:
        database.dispose()
        narrator.progress("")


def _sentences(changes: list[Changed], folder: Path) -> Iterator[str]:
    added = [changed for changed in changes if changed.change is Change.ADDED]
    if len(added) > 1:
        yield f"{len(added)} notebooks were copied to {folder}."
    yield from (str(changed) for changed in changes if len(added) <= 1 or changed not in added)


def _prepare_jupyter(folder: Path) -> Path:
    """JupyterLab's own folders, its quiet defaults, and a kernel that is this Python; returns the folder.

    Raises `SettingsError` when it cannot be written.
    """
    kernel = {
        # -P: a notebook's neighbours must not shadow what the kernel itself imports.
        "argv": [sys.executable, "-P", "-m", "subjunctive_admin.kernel", "-f", "{connection_file}", *_KERNEL_OPTIONS],
        "display_name": "Python 3",
        "language": "python",
    }
    files: dict[Path, object] = {_kernels(folder) / "kernels" / _KERNEL / "kernel.json": kernel}
    files |= {folder / "config" / "labconfig" / f"{name}.json": content for name, content in _QUIET.items()}
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(content, indent=1))
    except OSError as error:
        raise SettingsError(
            f"JupyterLab's folder {folder} cannot be written: {error.strerror}.",
            next_step="correct its rights, or set SUBJUNCTIVE_HOME to a folder you own",
        ) from error
    return folder


def _kernels(folder: Path) -> Path:
    # Two environments on one HOME have a kernel each.
    return folder / "python" / hashlib.sha256(sys.executable.encode()).hexdigest()[:12]


@contextmanager
def _environment(settings: Settings, state: Path) -> Iterator[None]:
    """What the server and its kernels inherit: the same database as here, and no one else's Jupyter set-up."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("JUPYTER", "IPYTHON")):
            del os.environ[name]
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "layouts",
        "IPYTHONDIR": "ipython",
    }
    os.environ.update({name: str(state / folder) for name, folder in folders.items()})
    os.environ.update(
        JUPYTER_PATH=str(_kernels(state)),  # before every other place of kernels
        SUBJUNCTIVE_HOME=str(settings.home),
        SUBJUNCTIVE_EMBEDDED_MAJOR=str(settings.embedded_major),
        SUBJUNCTIVE_DATABASE_URL=settings.database_url.get_secret_value() if settings.database_url else "",
        PYDEVD_DISABLE_FILE_VALIDATION="1",
    )
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _traits(workspace: Path, port: int, browser: bool) -> dict[str, object]:
    """The server's traits; given to it inside this process, so that the token is in no argument list."""
    return {
        "ServerApp.ip": HOST,
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": workspace,
        "ServerApp.allow_root": True,
        "ServerApp.open_browser": browser,
        "Application.log_level": "ERROR",
        "IdentityProvider.token": secrets.token_hex(24),
        "PasswordIdentityProvider.allow_password_change": False,
        "LanguageServerManager.autodetect": False,  # which runs whatever npm is on the PATH
        "KernelSpecManager.allowed_kernelspecs": _KERNEL,
        "LabApp.default_url": f"/lab/tree/{FIRST}",
        "LabApp.news_url": None,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.extension_manager": "readonly",
    }


def _serve(traits: Mapping[str, object], announce: Callable[[str], None]) -> int | None:
    """Run the server in this process; the signal that ended it, None when it was shut down from the browser."""
    skip_slow_grammar()
    from jupyterlab.labapp import LabApp  # type: ignore[import-untyped] # noqa: PLC0415 - half a second for this command alone

    server = LabApp.make_serverapp(jpserver_extensions={"jupyterlab": True})
    server.init_signal = lambda: None  # its own would ask whether Ctrl-C is meant, and end with 0
    try:
        server.initialize(
            argv=[f"--{name}={value}" for name, value in traits.items()],
            starter_extension=LabApp.name,
            find_extensions=True,
        )
        _trust_the_suite(server.contents_manager.notary)
        address = f"http://{HOST}:{server.port}/lab/tree/{FIRST}?token={traits['IdentityProvider.token']}"
        server.io_loop.add_callback(announce, address)  # after it listens, which the loop does first
        with _stopped_by_signals(server) as ended_by:
            server.start()
    except SystemExit as error:
        if error.code != 1:  # SIGTERM; 1 is how the server says that it has no port
            raise
        raise CouldNotBegin(
            f"JupyterLab cannot listen on port {traits['ServerApp.port']} of {HOST}.",
            next_step="leave out --port, and a free one is taken",
        ) from error
    return ended_by[0] if ended_by else None


def _trust_the_suite(notary: Any) -> None:
    """Sign the suite's notebooks, wherever copied: what a reader runs in one then shows in full when reopened."""
    import nbformat  # noqa: PLC0415 - JupyterLab has it already

    for path in resource_folder("notebooks").glob("*.ipynb"):
        notary.sign(nbformat.read(path, as_version=4))


@contextmanager
def _stopped_by_signals(server: Any) -> Iterator[list[int]]:
    """The first signal lets the server end its kernels, a second one does what it did before."""
    ended_by: list[int] = []
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [signal.Signals[name] for name in names]
    # What nohup, or a shell that puts a job into the background, has ignored stays ignored.
    before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) is not signal.SIG_IGN}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def stop(number: int, _frame: object) -> None:
        restore()
        ended_by.append(number)
        server.stop(from_signal=True)

    for number in before:
        signal.signal(number, stop)
    try:
        yield ended_by
    finally:
        restore()
