"""What a person at a terminal reads while something runs: on stderr, at most 80 columns wide."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from subjunctive_admin.vocabulary import Status

_SYMBOLS = {
    Status.OK: "✓",
    Status.INFO: "i",
    Status.WARNING: "!",
    Status.CRITICAL: "✕",
    Status.UNKNOWN: "?",
    Status.SKIPPED: "–",
}
_ASCII = {Status.OK: "ok", Status.CRITICAL: "x", Status.SKIPPED: "-"}
_WIDTH = 80
_LABEL = 38
_BAR = 20


def can_encode(stream: TextIO, sample: str = "✓✕–·") -> bool:
    """Whether the stream's encoding has the symbols."""
    try:
        sample.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def symbol(status: Status, *, ascii_only: bool = False) -> str:
    """The status as one sign, or as the letters that stand for it."""
    return _ASCII.get(status, _SYMBOLS[status]) if ascii_only else _SYMBOLS[status]


@dataclass
class Step:
    """A line under way: set `detail` and `status` before it ends."""

    label: str
    detail: str = ""
    status: Status = Status.OK


class Narrator:
    """Writes one line a step with its time; on a terminal, the line of the running step is alive."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._alive = self._stream.isatty()
        self._ascii = not can_encode(self._stream)

    def say(self, sentence: str = "") -> None:
        """Write one line."""
        self._clear()
        self._write(sentence + "\n")

    def progress(self, sentence: str) -> None:
        """Show what is being done now; nothing remains of it, and a log file sees none of it."""
        if self._alive:
            self._clear()
            self._write(f"     {sentence}"[: _WIDTH - 1])

    def counter(self, label: str) -> Callable[[int, int], None]:
        """A callback for long work: `(done, total)` becomes the live line `label: 3 of 9`."""
        return lambda done, total: self.progress(f"{label}: {done} of {total}")

    def bar(self, done: int, total: int, said: str = "") -> None:
        """Show how far long work is as a bar, with what is being done now; like `progress`, nothing remains of it."""
        full = _BAR * done // max(total, 1)
        drawn = "#" * full + "-" * (_BAR - full) if self._ascii else "█" * full + "░" * (_BAR - full)
        self.progress(f"{drawn} {done} of {total}  {said}")

    @contextmanager
    def step(self, label: str, *, indent: int = 2) -> Iterator[Step]:
        """Time the block and write its line; a failing block's line says so and the error goes on."""
        step = Step(label)
        started = time.monotonic()
        self.progress(f"{label} ...")
        try:
            yield step
        except BaseException:
            step.status = Status.CRITICAL
            raise
        finally:
            self._end(step, time.monotonic() - started, indent)

    def total(self, seconds: float) -> None:
        """Rule off the times above and write their sum."""
        self.say(f"{'-' * 7:>{_WIDTH}}")
        self.say(f"{'  Total':<{_WIDTH - 9}}{seconds:>6.1f} s")

    def _end(self, step: Step, seconds: float, indent: int) -> None:
        sign = symbol(step.status, ascii_only=self._ascii)
        left = f"{' ' * indent}{sign:<2} {step.label}"
        space = _WIDTH - 9
        body = f"{left:<{_LABEL + 2}}{step.detail}" if len(left) < _LABEL + 2 else f"{left}  {step.detail}"
        if len(body) > space:
            body = body[: space - 1].rstrip() + ("." if self._ascii else "…")
        self.say(f"{body:<{space}}{seconds:>6.1f} s")

    def _clear(self) -> None:
        if self._alive:
            self._write("\r\x1b[2K")

    def _write(self, text: str) -> None:
        if self._ascii:
            text = text.encode("ascii", "replace").decode()
        self._stream.write(text)
        self._stream.flush()
