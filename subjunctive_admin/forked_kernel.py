"""One notebook's process, as papermill and nbclient see it: a kernel manager that is its own client.

Parameters, outputs, widgets, metadata, errors and time limits are handled by the code that handles them for every
kernel; only the way to the process is another, a socket with framed JSON instead of five of ZeroMQ.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import queue
import signal
import socket
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cached_property
from types import TracebackType
from typing import Any, Self

from jupyter_client.session import Session
from nbclient.exceptions import DeadKernelError

from subjunctive_admin.frames import FRAME

_GONE_WITHIN = 2.0


class _Connection:
    """The socket of one notebook: frames of JSON, sorted into the channels of a kernel as they arrive."""

    def __init__(self, connection: socket.socket) -> None:
        self.channels: dict[str, asyncio.Queue[dict[str, Any] | None]] = {
            name: asyncio.Queue() for name in ("born", "shell", "iopub")
        }
        self.gone = False
        self._socket = connection
        self._received, self._outgoing = bytearray(), bytearray()
        self._loop: asyncio.AbstractEventLoop | None = None

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; that nobody is there is noticed by the one who awaits the answer."""
        data = json.dumps(message, default=str).encode()
        self._outgoing += FRAME.pack(len(data)) + data
        self._write()

    def _write(self) -> None:
        """Write what fits: a busy cell reads nothing, and waiting for it while it waits for us would be for ever."""
        try:
            while self._outgoing:
                del self._outgoing[: self._socket.send(self._outgoing, socket.MSG_DONTWAIT)]
        except BlockingIOError:
            pass
        except OSError:
            self._outgoing.clear()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_writer(self._socket)
            if self._outgoing:
                self._loop.add_writer(self._socket, self._write)

    async def next(self, channel: str, seconds: float | None) -> dict[str, Any]:
        """The next message of a channel; raises `queue.Empty` after these seconds, or when the kernel is gone."""
        self._listen()
        waiting = self.channels[channel]
        try:
            message = await asyncio.wait_for(waiting.get(), seconds)
        except TimeoutError:
            raise queue.Empty from None
        if message is None:
            waiting.put_nowait(None)
            if seconds is None:
                await asyncio.Event().wait()  # nbclient asks every second whether the kernel is alive
            raise queue.Empty
        return message

    def _listen(self) -> None:
        """Read in the loop that runs: nbclient's own, or the one of the notebook that calls us."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop and not self.gone:
            self.stop_listening()
            self._loop = loop
            loop.add_reader(self._socket, self._read)
            self._write()

    def stop_listening(self) -> None:
        """Leave the loop."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
        self._loop = None

    def _read(self) -> None:
        try:
            piece = self._socket.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionResetError:
            piece = b""
        if not piece:
            self.stop_listening()
            self.gone = True
            for channel in self.channels.values():
                channel.put_nowait(None)
        self._received += piece
        for message in self._whole():
            self.channels[message["channel"]].put_nowait(message)

    def _whole(self) -> Iterator[dict[str, Any]]:
        while len(self._received) >= FRAME.size:
            end = FRAME.size + FRAME.unpack_from(self._received)[0]
            if len(self._received) < end:
                return
            yield _revived(json.loads(self._received[FRAME.size : end]))
            del self._received[:end]

    def close(self) -> None:
        """Close the socket once the other side has let go of it: then the process is gone, not only told to."""
        self.stop_listening()
        deadline = time.monotonic() + _GONE_WITHIN
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            while not self.gone and time.monotonic() < deadline:
                self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
                self.gone = not self._socket.recv(1 << 20)
        self._socket.close()


def _revived(message: dict[str, Any]) -> dict[str, Any]:
    if "header" in message:
        message["header"]["date"] = datetime.fromisoformat(message["header"]["date"])
        message["buffers"] = [base64.b64decode(buffer) for buffer in message["buffers"]]
    return message


class ForkedKernel:
    """One notebook's process, as nbclient's kernel manager and client."""

    has_kernel = True
    allow_stdin = False

    def __init__(self, connected: socket.socket, ended: Callable[[ForkedKernel], None]) -> None:
        self._ended = ended
        self.connection = _Connection(connected)
        self.pid: int | None = None
        self.shell_channel = _Channel(self.connection, "shell")
        self.iopub_channel = _Channel(self.connection, "iopub")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    @cached_property
    def session(self) -> Any:
        """What makes messages; widgets ask for it too."""
        return Session()

    def client(self) -> Self:
        """Itself: there is one channel for everything."""
        return self

    def start_channels(self) -> None:
        """They are open."""

    def stop_channels(self) -> None:
        """They are closed at the end."""

    async def wait_for_ready(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - nbclient names it
        """Wait until the process is born; raises nbclient's `DeadKernelError` when it is not."""
        try:
            self.pid = (await self.connection.next("born", timeout))["pid"]
        except queue.Empty:
            raise DeadKernelError("Kernel died before it was born") from None

    async def is_alive(self) -> bool:
        """Whether the process can still say something."""
        return not self.connection.gone

    def execute(self, code: str, *, store_history: bool = True, stop_on_error: bool = True) -> str:
        """Have a cell run; returns the id that its messages carry."""
        content = {"code": code, "silent": False, "store_history": store_history, "stop_on_error": stop_on_error}
        return self._ask("execute_request", {**content, "user_expressions": {}, "allow_stdin": False})

    def kernel_info(self) -> str:
        """Ask for the language; returns the id of the request."""
        return self._ask("kernel_info_request", {})

    def _ask(self, kind: str, content: dict[str, Any]) -> str:
        message = self.session.msg(kind, content)
        self.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    async def shutdown_kernel(self, *, now: bool = True) -> None:
        """End it."""
        del now
        self.end()

    async def cleanup_resources(self) -> None:
        """There are none besides the process."""

    def end(self) -> None:
        """Kill the process and what it started, and wait until it is gone."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self.connection.close()
        self._ended(self)


class _Channel:
    def __init__(self, connection: _Connection, name: str) -> None:
        self._connection, self._name = connection, name

    def send(self, message: dict[str, Any]) -> None:
        """Send a request, or what a widget has to say."""
        self._connection.send(message)

    async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:  # noqa: ASYNC109 - nbclient names it
        """The channel's next message."""
        return await self._connection.next(self._name, timeout)
