"""The process in which notebooks are born: a kernel and the libraries are prepared once, each notebook is a fork.

`python -m subjunctive_admin.cells FD MODULE ...` imports the modules and waits on a socket. A record that carries
a descriptor asks for a notebook at that socket, a record with a number for that child's end. A child is a process
group of its own and runs ipykernel's own kernel, whose messages go through the socket as framed JSON instead of
ZeroMQ: what a cell shows is what it shows in Jupyter. What a notebook changed dies with its child.

When the other end is closed, however that came about, the nursery ends every child and itself.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ctypes
import gc
import importlib
import io
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from inspect import isawaitable
from types import SimpleNamespace
from typing import Any, NoReturn

from subjunctive_admin.frames import FRAME, RECORD
from subjunctive_admin.kernel import skip_slow_grammar

SHELL = "shell"
_FLUSH_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1


def main() -> NoReturn:
    """Prepare, then serve the records on the socket until its other end is closed."""
    control = socket.socket(fileno=int(sys.argv[1]))
    gc.disable()  # nothing that is imported becomes garbage
    kernel = _prepare(sys.argv[2:])
    gc.enable()
    gc.freeze()  # a collection in a child would copy what it shares with the others, page by page
    children: set[int] = set()
    for record, descriptor in _records(control):
        if descriptor is None:
            _end(record)
            children.discard(record)
            continue
        child = os.fork()
        if child == 0:
            control.close()
            _run(kernel, socket.socket(fileno=descriptor))
        os.close(descriptor)
        children.add(child)
    for child in children:
        _end(child)
    os._exit(0)


def _records(control: socket.socket) -> Iterator[tuple[int, int | None]]:
    while True:
        data, descriptors, _flags, _from = socket.recv_fds(control, RECORD.size, 1)
        if len(data) < RECORD.size:
            return
        yield RECORD.unpack(data)[0], descriptors[0] if descriptors else None


def _end(child: int) -> None:
    # A child that is not yet a group's leader has run nothing, and could have started nothing.
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(child, signal.SIGKILL)
    # Until here it is a zombie, so its number can be nobody else's.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)


def _prepare(modules: Sequence[str]) -> Any:
    """A kernel without channels, in a process that has imported what notebooks import."""
    skip_slow_grammar()
    # Nobody debugs here; a notebook that imports debugpy itself still can.
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    importlib.import_module("ipykernel.debugger")
    del sys.modules["debugpy"]
    # The shell comes before the libraries: some ask, when imported, whether they are in a notebook.
    kernel = _new_kernel()
    for name in modules:
        # What cannot be imported fails again in the notebook, where it is seen.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    return kernel


def _new_kernel() -> Any:
    from ipykernel.ipkernel import IPythonKernel  # noqa: PLC0415 - after the grammar is out of the way
    from jupyter_client.session import Session  # noqa: PLC0415
    from traitlets import Any as AnyTrait  # noqa: PLC0415
    from traitlets.config import Config  # noqa: PLC0415

    class SocketSession(Session):
        """Sends through a socket of ours; `stream` only says whether a message is a reply."""

        wire = AnyTrait()

        def send(
            self,
            stream: Any,
            msg_or_type: Any,
            content: Any = None,
            parent: Any = None,
            ident: Any = None,
            buffers: Any = None,
            track: bool = False,
            header: Any = None,
            metadata: Any = None,
        ) -> Any:
            """Send a message, built as Session builds it."""
            del ident, track
            whole = isinstance(msg_or_type, dict)
            message = msg_or_type if whole else self.msg(msg_or_type, content, parent, header, metadata)
            encoded = [base64.b64encode(buffer).decode() for buffer in buffers or message.get("buffers", [])]
            channel = SHELL if stream == SHELL else "iopub"
            self.wire.send(self.pack({**message, "channel": channel, "buffers": encoded}))
            return message

    class ForkedKernel(IPythonKernel):  # type: ignore[misc]
        """Jupyter's Python kernel; one cell is asked for at a time, so there is nothing to abort after an error."""

        def _abort_queues(self, subshell_id: str | None = None) -> None:
            del subshell_id

    quiet = Config({"HistoryManager": {"enabled": False}})
    main_thread = SimpleNamespace(parent_thread=threading.main_thread())
    kernel = ForkedKernel.instance(
        config=quiet, session=SocketSession(), shell_channel_thread=main_thread, log=logging.getLogger(__name__)
    )
    kernel.shell.extension_manager.load_extension("storemagic")
    return kernel


class _Wire:
    """The socket of a notebook, written whole messages at a time by whichever thread has one."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._process = os.getpid()

    @property
    def ours(self) -> bool:
        """False in a process that the notebook forked."""
        return os.getpid() == self._process

    def send(self, message: bytes) -> None:
        if self.ours:
            with self._lock:
                self._connection.sendall(FRAME.pack(len(message)) + message)

    async def receive(self) -> dict[str, Any] | None:
        """The next message, awaited while the notebook's own tasks go on; None when the other end is closed."""
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._connection, arrived.set)
        await arrived.wait()
        loop.remove_reader(self._connection)
        # It is sent at once, and nobody waits for anything else.
        head = self._connection.recv(FRAME.size, socket.MSG_WAITALL)
        body = self._connection.recv(FRAME.unpack(head)[0], socket.MSG_WAITALL) if head else b""
        return json.loads(body) if body else None


class _Text(io.TextIOBase):
    """stdout or stderr of a notebook: what Python writes, and in its place what programs write to the descriptor."""

    encoding = "UTF-8"

    def __init__(self, name: str, descriptor: int, kernel: Any, wire: _Wire) -> None:
        self.name = name
        self._descriptor, self._kernel, self._wire = descriptor, kernel, wire
        # An unnamed file and no pipe: who writes never waits for a reader, which may be the same thread.
        self._written = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        os.dup2(os.open(f"/dev/fd/{self._written.fileno()}", os.O_WRONLY | os.O_APPEND), descriptor)
        self._pending: list[str] = []
        self._lock = threading.RLock()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text)}")
        if not self._wire.ours:
            return os.write(self._descriptor, text.encode(errors="replace"))
        with self._lock:
            self._take_written()
            self._pending.append(text)
        return len(text)

    def _take_written(self) -> None:
        if data := self._written.read():
            self._pending.append(data.decode(errors="replace"))

    def flush(self) -> None:
        if not self._wire.ours:
            return
        with self._lock:
            self._take_written()
            text, self._pending = "".join(self._pending), []
            if text:
                content = {"name": self.name, "text": text}
                self._kernel.session.send(None, "stream", content, parent=self._kernel.get_parent("shell"))


def _run(kernel: Any, connection: socket.socket) -> NoReturn:
    """Be a notebook's process: answer requests until the other end is closed."""
    os.setsid()
    _end_with_parent()
    told = os.dup(2)
    # A loop of its own, not asyncio.run: that would take Ctrl-C away from the cells.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    serving = loop.create_task(_serve(kernel, _Wire(connection)))
    try:
        with contextlib.suppress(RuntimeError):  # `exit` stops the loop
            loop.run_until_complete(serving)
    except Exception:  # noqa: BLE001 - nothing of a cell comes here: it is ours, and somebody must read it
        os.write(told, traceback.format_exc().encode())
    finally:
        # No exit handlers: they are the nursery's, and a kernel is killed after its last cell too.
        os._exit(0)


def _end_with_parent() -> None:
    # The nursery ends its children; here for the case that the nursery itself is killed.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
        signal.signal(number, handler)


async def _serve(kernel: Any, wire: _Wire) -> None:
    place = await wire.receive()
    if place is None:
        return
    _settle(kernel, place)
    kernel.session.wire = wire
    kernel.session.pid = os.getpid()
    streams = _Text("stdout", 1, kernel, wire), _Text("stderr", 2, kernel, wire)
    sys.stdout, sys.stderr = streams
    threading.Thread(target=_flush_forever, args=(streams,), daemon=True).start()
    _loop_of(kernel)
    wire.send(json.dumps({"channel": "born", "pid": os.getpid()}).encode())
    while (request := await wire.receive()) is not None:
        await _answer(kernel, request, streams)


def _settle(kernel: Any, place: Mapping[str, Any]) -> None:
    """Take over the folder, environment and chances of a fresh process."""
    os.environ.clear()
    os.environ.update(place["environment"])
    kernel.shell.init_environment()
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    os.chdir(place["folder"])
    time.tzset()
    # `random` sees to itself in a fork, numpy does not: notebooks would draw the same numbers.
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()


def _loop_of(kernel: Any) -> None:
    from tornado.ioloop import IOLoop  # noqa: PLC0415 - loaded before the fork

    kernel.io_loop = IOLoop.current()


def _flush_forever(streams: Sequence[_Text]) -> None:
    while True:
        time.sleep(_FLUSH_SECONDS)
        for stream in streams:
            stream.flush()


async def _answer(kernel: Any, request: dict[str, Any], streams: Sequence[_Text]) -> None:
    """Handle a request as ipykernel does: busy, outputs, reply, idle."""
    kernel.set_parent([], request)
    _say_state(kernel, "busy", request)
    answer = kernel.shell_handlers[request["header"]["msg_type"]](SHELL, [], request)
    if isawaitable(answer):
        await answer
    # Also when a cell put another sys.stdout in their place.
    for stream in streams:
        stream.flush()
    _say_state(kernel, "idle", request)


def _say_state(kernel: Any, state: str, request: dict[str, Any]) -> None:
    kernel.session.send(None, "status", {"execution_state": state}, parent=request)


if __name__ == "__main__":
    main()
