"""A process prepared for the notebooks of a suite: what they import is imported once, each is a fork of it.

A kernel takes two thirds of a second to start and as long again to import what every notebook needs. A *nursery*
(its other side is `subjunctive_admin.cells`) does both once, and starts at once: this module imports little. Each
fork is killed at its deadline, whatever it is doing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from subjunctive_admin.frames import BIRTH, RECORD

AVAILABLE = hasattr(os, "fork") and hasattr(socket, "send_fds")
PREPARED = ("pandas", "plotly.graph_objects", "plotly.io", "sqlalchemy")


if TYPE_CHECKING:
    from subjunctive_admin.forked_kernel import ForkedKernel


class NurseryGone(Exception):
    """The prepared process was ended."""


class Nursery:
    """A prepared process, importing `modules` while the caller goes on; a context manager that ends it.

    One serves a whole suite, one notebook after the other or several at once.
    """

    def __init__(self, modules: Sequence[str] = PREPARED) -> None:
        self._modules = modules
        self._kernels: set[ForkedKernel] = set()
        self._closed = False
        self._start()

    def _start(self) -> None:
        # -P: the folder that -m puts in front would let a file in it shadow the standard library.
        self._control, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", "subjunctive_admin.cells", str(theirs.fileno()), *self._modules]
        # stdout is for data; what goes wrong is told on stderr. In a session of its own it is we who end it, not Ctrl-C.
        self._process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process and every notebook in it."""
        self._closed = True
        for kernel in tuple(self._kernels):
            kernel.end()
        self._process.kill()
        self._process.wait()
        self._control.close()

    def bear(self, folder: Path, environment: Mapping[str, str]) -> ForkedKernel:
        """A kernel in `folder`, a context manager that kills it with what it started; raises `NurseryGone` when closed.

        A notebook may kill the process that bore it: that is no reason for the next one to fail.
        """
        if self._closed:
            raise NurseryGone
        if self._process.poll() is not None:
            self._control.close()
            self._start()
        from subjunctive_admin.forked_kernel import ForkedKernel  # noqa: PLC0415 - loads nbclient

        ours, theirs = socket.socketpair()
        with contextlib.suppress(OSError):  # then nobody holds the other end, and the kernel is found dead
            socket.send_fds(self._control, [RECORD.pack(BIRTH)], [theirs.fileno()])
        theirs.close()
        kernel = ForkedKernel(ours, self._forget)
        self._kernels.add(kernel)
        kernel.connection.send({"folder": str(folder), "environment": dict(environment)})
        return kernel

    def _forget(self, kernel: ForkedKernel) -> None:
        """Have the child's remains removed; until then its number is nobody else's."""
        self._kernels.discard(kernel)
        if kernel.pid is not None:
            with contextlib.suppress(OSError):
                self._control.sendall(RECORD.pack(kernel.pid))
