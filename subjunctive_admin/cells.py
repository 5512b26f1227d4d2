"""Inside the nursery: import the libraries once, fork a child for each notebook, run its cells.

`python -m subjunctive_admin.cells FD` waits on a socket for the sockets of notebooks. A notebook runs in a
child of its own, with the shell, the display hook and the messages of a Jupyter kernel but no ZeroMQ; the child
can be killed at any moment, and what it changed dies with it. When the suite's process ends, however it ends,
the nursery and its children end too.
"""

from __future__ import annotations

import builtins
import gc
import importlib
import io
import json
import os
import select
import signal
import socket
import sys
import tempfile
import time
from typing import IO, Any, NoReturn

from subjunctive_admin.kernel import skip_slow_grammar

_EVERY_NOTEBOOK = ("ipykernel.zmqshell", "pandas", "plotly.graph_objects", "sqlalchemy")
_WHEN_IDLE = ("subjunctive_admin.reports", "subjunctive_admin.look", "subjunctive_admin.db", "sqlalchemy.ext.asyncio")
_FLUSH_BYTES, _FLUSH_SECONDS = 8192, 0.2


def main() -> None:
    """Prepare, then fork a child for each socket that arrives, until the other end is closed."""
    control = socket.socket(fileno=int(sys.argv[1]))
    skip_slow_grammar()
    if sys.path and sys.path[0] == "":
        sys.path.pop(0)
    for name in _EVERY_NOTEBOOK:
        importlib.import_module(name)
    children: set[int] = set()
    later = list(_WHEN_IDLE)
    while True:
        # A single notebook does not wait for what only some need; a suite has it ready soon after.
        while later and not select.select([control], [], [], 0)[0]:
            importlib.import_module(later.pop(0))
        # What is here now is shared by every child; collecting it in a child would copy it page by page.
        gc.collect()
        gc.freeze()
        _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        children = {child for child in children if os.waitpid(child, os.WNOHANG) == (0, 0)}
        if not descriptors:
            break
        child = os.fork()
        if child == 0:
            control.close()
            _run(socket.socket(fileno=descriptors[0]))
        os.close(descriptors[0])
        children.add(child)
    for child in children:
        _kill_group(child)


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(leader, signal.SIGKILL)  # it has not yet made itself a leader


def _run(connection: socket.socket) -> NoReturn:
    """Run the cells that arrive; a line of JSON in either direction."""
    os.setsid()
    # Two files: one text file for both directions forgets what it read ahead when it is written to.
    asked = connection.makefile("r", encoding="utf-8", newline="\n")
    request = json.loads(asked.readline())
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    time.tzset()
    messages = _Messages(connection.makefile("w", encoding="utf-8", newline="\n"))
    messages.tell("born", pid=os.getpid())
    cells = _Cells(messages)
    for line in asked:
        cells.run(json.loads(line)["source"])
    # No exit handlers: they belong to the nursery, and a kernel is killed after its last cell too.
    os._exit(0)


class _Messages:
    """Sends what a kernel would publish."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def tell(self, kind: str, **content: Any) -> None:
        self._stream.write(json.dumps({"msg_type": kind, "content": content}) + "\n")
        self._stream.flush()


class _Text(io.TextIOBase):
    """stdout or stderr of a notebook, sent in pieces."""

    def __init__(self, name: str, messages: _Messages, descriptor: int) -> None:
        self.name, self._messages, self._descriptor = name, messages, descriptor
        self._pending: list[str] = []
        self._size, self._sent_at = 0, time.monotonic()

    encoding = "utf-8"

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._pending.append(text)
        self._size += len(text)
        if self._size > _FLUSH_BYTES or time.monotonic() - self._sent_at > _FLUSH_SECONDS:
            self.flush()
        return len(text)

    def flush(self) -> None:
        text, self._pending, self._size = "".join(self._pending), [], 0
        self._sent_at = time.monotonic()
        if text:
            self._messages.tell("stream", name=self.name, text=text)


class _Cells:
    """The shell of a kernel, its messages sent through our socket."""

    def __init__(self, messages: _Messages) -> None:
        from ipykernel.compiler import XCachingCompiler  # noqa: PLC0415
        from ipykernel.zmqshell import ZMQInteractiveShell  # noqa: PLC0415 - imported by main, before the fork
        from jupyter_client.session import Session  # noqa: PLC0415
        from traitlets.config import Config  # noqa: PLC0415

        class Sender(Session):
            """A session without a socket of ZeroMQ."""

            def send(self, stream: Any, msg_or_type: Any, content: Any = None, *_: Any, **__: Any) -> None:
                del stream
                whole = isinstance(msg_or_type, dict)
                kind = msg_or_type["msg_type"] if whole else msg_or_type
                messages.tell(kind, **(msg_or_type["content"] if whole else content))

        self._messages = messages
        self._files = {name: _captured(fd) for name, fd in (("stdout", 1), ("stderr", 2))}
        sys.stdout, sys.stderr = _Text("stdout", messages, 1), _Text("stderr", messages, 2)
        self._streams = (sys.stdout, sys.stderr)
        builtins.input = _no_input
        sys.path.insert(0, "")
        config = Config({"HistoryManager": {"enabled": False}})
        self._shell = ZMQInteractiveShell.instance(config=config, compiler_class=XCachingCompiler)
        sender = Sender()
        for part in (self._shell.display_pub, self._shell.displayhook):
            part.session, part.pub_socket = sender, None
            part.set_parent({})
        self._shell.displayhook.topic = self._shell.display_pub.topic = b""

    def run(self, source: str) -> None:
        """Run one cell; the last message says how it ended."""
        shell = self._shell
        self._messages.tell("execute_input", execution_count=shell.execution_count)
        result = shell.run_cell(source, store_history=True)
        for stream in self._streams:
            stream.flush()
        for name, file in self._files.items():
            # What bypassed Python: other programs, C libraries.
            if text := file.read():
                self._messages.tell("stream", name=name, text=text)
        error = result.error_before_exec or result.error_in_exec
        said = {} if error is None else {"ename": type(error).__name__, "evalue": str(error)}
        self._messages.tell("done", status="ok" if error is None else "error", traceback=[], **said)


def _captured(descriptor: int) -> IO[str]:
    """Point a file descriptor at an unnamed file; reading it gives what was written since."""
    file = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - it lives as long as we do
    writing = os.open(f"/dev/fd/{file.fileno()}", os.O_WRONLY | os.O_APPEND)
    os.dup2(writing, descriptor)
    os.close(writing)
    return file


def _no_input(*_: object) -> NoReturn:
    from IPython.core.error import StdinNotImplementedError  # noqa: PLC0415

    raise StdinNotImplementedError("raw_input was called, but this frontend does not support input requests.")


if __name__ == "__main__":
    main()
