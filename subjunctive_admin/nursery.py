"""A process prepared for the notebooks of a suite: what they all import is imported once, each is a fork of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

AVAILABLE = hasattr(os, "fork") and hasattr(socket, "send_fds")
_GRACE_SECONDS = 2.0


class NurseryGone(Exception):
    """The prepared process has ended."""


class Nursery:
    """The prepared process; notebooks run in forks of it, one after the other or side by side."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        command = [sys.executable, "-m", "subjunctive_admin.cells", str(theirs.fileno())]
        # A session of its own: Ctrl-C is for us, and we end it.
        self._process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process and every notebook in it."""
        self._control.close()
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def bear(self, folder: Path, environment: Mapping[str, str]) -> Child:
        """A child that runs cells in `folder`; raises `NurseryGone` when the process is."""
        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(self._control, [b"n"], [theirs.fileno()])
        except OSError:
            ours.close()
            raise NurseryGone from None
        finally:
            theirs.close()
        child = Child(ours)
        child.send({"folder": str(folder), "environment": dict(environment)})
        return child


class Child:
    """One notebook's process, seen through its socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""
        self._pid: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send one line; a child that is gone is noticed when it is read from."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._connection.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, deadline: float) -> dict[str, Any] | None:
        """The next message; None once the child is gone. Raises TimeoutError at the deadline (monotonic)."""
        while b"\n" not in self._received:
            self._connection.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                piece = self._connection.recv(1 << 16)
            except ConnectionResetError:
                piece = b""
            if not piece:
                return None
            self._received += piece
        line, self._received = self._received.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        if message["msg_type"] == "born":
            self._pid = message["content"]["pid"]
            return self.receive(deadline)
        return message

    def kill(self) -> None:
        """End the child and what it started."""
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
        self._connection.close()
