"""The pool drawn while a load runs: the chart changes in its place, and is gone when the page shows it whole."""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any

from subjunctive_admin.db import Database
from subjunctive_admin.ops.pool import Course, exercise_pool, watching
from subjunctive_admin.ops.pool_view import course_chart

if TYPE_CHECKING:
    import pandas as pd

_NOTHING: dict[str, Any] = {"text/html": '<div class="sj"></div>', "text/plain": ""}


def watch_load(
    database: Database, checkouts: int = 200, threads: int = 8, hold_ms: float = 5.0, *, every: float = 0.25
) -> tuple[pd.DataFrame, Course]:
    """Run `exercise_pool` and draw the pool every `every` seconds meanwhile; returns the load and the pool's course.

    A load that is over sooner draws nothing. Raises what `exercise_pool` raises.
    """
    for needed in ("pandas", "plotly.graph_objects"):
        importlib.import_module(needed)  # now: an import stops every thread of the load
    with watching(database) as course:
        drawing = LiveChart(database, course, every)
        try:
            load = exercise_pool(database, checkouts, threads, hold_ms, progress=drawing.progress)
        finally:
            drawing.clear()
    return load, course


class LiveChart:
    """The outputs that the course of a pool is drawn into, again and again."""

    def __init__(self, database: Database, course: Course, every: float) -> None:
        self._database, self._course, self._every = database, course, every
        self._handles: list[Any] = []
        self._drawn = time.monotonic()

    def progress(self, _done: int, _total: int) -> None:
        """Draw when it is time."""
        if time.monotonic() - self._drawn >= self._every:
            self.draw()
            # From its end: drawing takes time too, and the load is what is to be seen.
            self._drawn = time.monotonic()

    def draw(self) -> None:
        """Draw the course so far."""
        from IPython.display import display  # noqa: PLC0415 - only a notebook has it

        outputs = course_chart(self._course, self._database.pool_reading()).outputs()
        if not self._handles:
            self._handles = [
                display(bundle, metadata={"subjunctive": part}, raw=True, display_id=True) for part, bundle in outputs
            ]
            return
        for handle, (part, bundle) in zip(self._handles, outputs, strict=True):
            if handle is not None:  # None where there is no notebook
                handle.update(bundle, metadata={"subjunctive": part}, raw=True)

    def clear(self) -> None:
        """Leave nothing behind."""
        for handle in self._handles:
            if handle is not None:
                handle.update(_NOTHING, metadata={}, raw=True)
