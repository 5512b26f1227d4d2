"""`subjunctive-admin lab` as processes: who may come in, what the kernels are, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest

from subjunctive_admin.db import Database
from subjunctive_admin.embedded import EmbeddedServer
from subjunctive_admin.reports import list_notebooks
from tests.folders import reachable_folder

pytestmark = [pytest.mark.faults, pytest.mark.skipif(sys.platform == "win32", reason="written for signals")]
PATIENCE = 30.0


def wait_until(condition: Callable[[], Any], otherwise: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
    return value


class RunningLab:
    """A JupyterLab of this test's own; its home is below `folder`, and so is the home of the person."""

    def __init__(self, folder: Path, *options: str, **variables: str) -> None:
        self.home = folder / "home"
        environment = os.environ | {"SUBJUNCTIVE_HOME": str(self.home), "HOME": str(folder)} | variables
        self._said = (folder / "said").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "subjunctive_admin", "lab", "--no-browser", *options],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            # Tests under nohup would hand on that hanging up is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # noqa: PLW1509 - no threads yet
        )
        self.address = ""

    def listens(self) -> RunningLab:
        """Wait for the address that it prints."""
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address, self.said
        return self

    @property
    def said(self) -> str:
        self._said.seek(0)
        return self._said.read()

    @property
    def token(self) -> str:
        return parse_qs(urlsplit(self.address).query)["token"][0]

    def ask(self, path: str, body: object = None, *, token: str | None = None) -> Any:
        """The server's answer, or the number of its refusal."""
        base = urlsplit(self.address)._replace(path=path, query="").geturl()
        request = urllib.request.Request(base, json.dumps(body).encode() if body is not None else None)
        request.add_header("Authorization", f"token {self.token if token is None else token}")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.loads(answer.read() or "null")
        except urllib.error.HTTPError as refusal:
            return refusal.code

    def start_kernel(self) -> psutil.Process:
        """A new kernel's process, ready to work."""
        kernel = self.ask("/api/kernels", {})["id"]

        def started() -> list[psutil.Process]:
            return [child for child in self.children() if kernel in " ".join(child.cmdline())]

        process: psutil.Process = wait_until(started, "no kernel")[0]
        wait_until(lambda: len(listening(process)) >= 5, "the kernel does not listen")
        return process

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def ended(self) -> int:
        """Its exit code."""
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._said.close()


def listening(process: psutil.Process) -> set[str]:
    """The addresses at which it takes connections."""
    found = [c.laddr for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    return {f"{address.ip}:{address.port}" for address in found}


def left(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that still run after so long; what only waits for its new parent to take note of its end does not."""

    def runs(process: psutil.Process) -> bool:
        try:
            return process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    deadline = time.monotonic() + seconds
    while (running := [process for process in processes if runs(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return running


Start = Callable[..., RunningLab]


@pytest.fixture
def start(tmp_path: Path, database: Database) -> Iterator[Start]:
    """Starts a JupyterLab on the test's database."""
    labs: list[RunningLab] = []

    def start(*options: str, folder: Path = tmp_path, **variables: str) -> RunningLab:
        address = {"SUBJUNCTIVE_DATABASE_URL": database.url.render_as_string(hide_password=False)}
        labs.append(RunningLab(folder, *options, **(address | variables)))
        return labs[-1]

    yield start
    for lab in labs:
        lab.close()


# Who may come in.


def test_only_this_computer_with_the_token_comes_in_and_no_argument_list_has_a_secret(
    start: Start, database: Database
) -> None:
    lab = start().listens()
    kernel = lab.start_kernel()
    assert lab.ask("/api/kernels", token="") == 403
    assert lab.ask("/api/kernels", token="0" * len(lab.token)) == 403
    assert len(lab.ask("/api/kernels")) == 1
    server = psutil.Process(lab.process.pid)
    for process in (server, kernel):
        assert {address.split(":")[0] for address in listening(process)} == {"127.0.0.1"}
        for secret in (lab.token, database.url.password or "no password"):
            assert secret not in " ".join(process.cmdline())
    assert lab.token not in lab.said
    assert lab.token not in " ".join(kernel.environ().values())


def test_the_address_is_all_that_stdout_has_and_opens_the_first_notebook(start: Start) -> None:
    lab = start().listens()
    assert urlsplit(lab.address).path == "/lab/tree/00_start.ipynb"
    assert f"{len(list_notebooks())} notebooks were copied to {lab.home}/notebooks." in lab.said
    assert lab.said.endswith(f"JupyterLab works in {lab.home}/notebooks; Ctrl-C ends it.\n")
    lab.process.terminate()
    assert lab.process.stdout is not None
    assert lab.process.stdout.read() == ""


# What the kernels are.


def test_neither_a_foreign_kernel_nor_a_foreign_configuration_reaches_it(
    start: Start, database: Database, tmp_path: Path
) -> None:
    poison = {"argv": ["/bin/false"], "display_name": "Foreign", "language": "python"}
    for place in (".local/share/jupyter", "elsewhere"):
        (tmp_path / place / "kernels" / "python3").mkdir(parents=True)
        (tmp_path / place / "kernels" / "python3" / "kernel.json").write_text(json.dumps(poison))
    configuration = tmp_path / ".jupyter" / "jupyter_server_config.py"
    configuration.parent.mkdir()
    configuration.write_text("c.ServerApp.ip = '0.0.0.0'; c.IdentityProvider.token = ''; 1 / 0\n")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / ".local", configuration.parent, configuration)}
    foreign = {"JUPYTER_PATH": str(tmp_path / "elsewhere"), "JUPYTER_CONFIG_DIR": str(configuration.parent)}
    lab = start(
        **foreign, JUPYTER_TOKEN="known", JUPYTER_PORT="1", XDG_DATA_HOME=str(tmp_path / ".local/share")
    ).listens()
    assert list(lab.ask("/api/kernelspecs")["kernelspecs"]) == ["python3"]
    kernel = lab.start_kernel()
    assert kernel.cmdline()[:4] == [sys.executable, "-P", "-m", "subjunctive_admin.kernel"]
    assert kernel.environ()["SUBJUNCTIVE_DATABASE_URL"] == database.url.render_as_string(hide_password=False)
    assert kernel.environ()["SUBJUNCTIVE_HOME"] == str(lab.home)
    assert lab.ask("/api/kernels", token="known") == 403
    assert "Traceback" not in lab.said
    lab.process.terminate()
    lab.ended()
    assert {path: path.stat().st_mtime_ns for path in before} == before


# How it ends.


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, 130, "Interrupted.\n"),
        (signal.SIGTERM, 143, "Ended by SIGTERM.\n"),
        (signal.SIGHUP, -signal.SIGHUP, "Ctrl-C ends it.\n"),
    ],
)
def test_one_signal_ends_the_server_and_its_kernels(start: Start, number: int, code: int, word: str) -> None:
    lab = start().listens()
    lab.start_kernel()
    lab.ask("/api/terminals", {})
    children = lab.children()
    assert len(children) >= 2
    lab.process.send_signal(number)
    assert lab.ended() == code
    assert left(children, 1) == []
    assert word in lab.said  # a kernel that had just begun may say more
    assert "Traceback" not in lab.said
    assert list((lab.home / "jupyter" / "runtime").glob("jpserver-*")) == []


def test_killed_it_leaves_neither_kernel_nor_terminal(start: Start) -> None:
    lab = start().listens()
    lab.start_kernel()
    lab.ask("/api/terminals", {})
    children = lab.children()
    assert len(children) >= 2
    lab.process.kill()
    assert left(children, 10) == []


def test_shut_down_from_the_browser_it_ends_with_0(start: Start) -> None:
    lab = start().listens()
    kernel = lab.start_kernel()
    lab.ask("/api/shutdown", {})
    assert lab.ended() == 0
    assert left([kernel], 1) == []


def test_a_signal_before_it_listens_ends_it_too(start: Start) -> None:
    lab = start()
    wait_until((lab.home / "notebooks").exists, "no workspace")
    lab.process.terminate()
    assert lab.ended() == 143
    assert lab.said.endswith("Ended by SIGTERM.\n")


def test_a_second_signal_does_not_wait_for_a_kernel_that_hangs(start: Start) -> None:
    lab = start().listens()
    kernel = lab.start_kernel()
    kernel.suspend()
    lab.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    lab.process.send_signal(signal.SIGINT)
    try:
        assert lab.process.wait(3) == 130
    finally:
        kernel.resume()
    assert left([kernel], 10) == []


# Beside others.


def test_two_at_once_on_a_fresh_home_both_work(start: Start, tmp_path: Path) -> None:
    both = [start(), start()]
    addresses = {urlsplit(lab.listens().address).port for lab in both}
    assert len(addresses) == 2
    for lab in both:
        assert len(lab.ask("/api/contents")["content"]) == len(list_notebooks())
        lab.start_kernel()


def test_a_port_that_is_taken_is_refused_in_words(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        lab = start("--port", str(port))
        assert lab.ended() == 3
    assert f"JupyterLab cannot listen on port {port} of 127.0.0.1.\nNext: leave out --port" in lab.said


def test_a_port_and_a_folder_can_be_chosen(start: Start, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lab = start("--port", str(port), "--workspace", str(tmp_path / "mine")).listens()
    assert urlsplit(lab.address).port == port
    assert (tmp_path / "mine" / "12_health.ipynb").is_file()
    assert not (lab.home / "notebooks").exists()


# The database.


def test_a_database_that_was_never_set_up_is_said_and_jupyterlab_opens(start: Start, empty_database: Database) -> None:
    lab = start(SUBJUNCTIVE_DATABASE_URL=empty_database.url.render_as_string(hide_password=False)).listens()
    assert lab.said.startswith("The database was never set up. Next: subjunctive-admin setup, or open 10_setup.\n")


def test_without_a_database_nothing_begins(start: Start) -> None:
    lab = start(SUBJUNCTIVE_DATABASE_URL="postgresql://ana:s3cret@127.0.0.1:1/nowhere")
    assert lab.ended() == 3
    assert lab.said.startswith("No usable server at 127.0.0.1")
    assert "s3cret" not in lab.said
    assert not lab.home.exists()


def test_it_starts_the_embedded_server_and_leaves_it_running(start: Start) -> None:
    with reachable_folder() as folder:
        lab = start(folder=folder, SUBJUNCTIVE_DATABASE_URL="")
        server = EmbeddedServer(lab.home)
        try:
            lab.listens().process.send_signal(signal.SIGINT)
            assert lab.ended() == 130
            assert server.status().state == "running"
        finally:
            server.stop()
