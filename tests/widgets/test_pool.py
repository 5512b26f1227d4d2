"""The pool is drawn in its place while a load runs, and nothing of it remains."""

from __future__ import annotations

from typing import Any

import pytest

from subjunctive_admin.db import Database
from subjunctive_admin.errors import ServerUnreachable
from subjunctive_admin.look.charts import PLOTLY_MIME
from subjunctive_admin.widgets.pool import watch_load


class Handle:
    def __init__(self, shown: dict[str, Any]) -> None:
        self.shown = [shown]

    def update(self, shown: dict[str, Any], **_given: Any) -> None:
        self.shown.append(shown)


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[Handle]:
    """What a notebook would have shown, output by output."""
    handles: list[Handle] = []

    def display(shown: dict[str, Any], **_given: Any) -> Handle:
        handles.append(Handle(shown))
        return handles[-1]

    monkeypatch.setattr("IPython.display.display", display)
    return handles


def test_a_load_is_drawn_while_it_runs_and_cleared_when_it_is_over(database: Database, displayed: list[Handle]) -> None:
    load, course = watch_load(database, checkouts=40, threads=4, hold_ms=10, every=0.02)

    assert (len(load), len(course.points) > 1) == (40, True)
    head, figure, foot = displayed
    assert len(figure.shown) >= 3
    assert PLOTLY_MIME in figure.shown[0]
    assert "connections were in use" in head.shown[0]["text/plain"]
    assert {one.shown[-1]["text/plain"] for one in (head, figure, foot)} == {""}


def test_a_short_load_draws_nothing(database: Database, displayed: list[Handle]) -> None:
    load, _course = watch_load(database, checkouts=2, threads=1, hold_ms=0, every=60)
    assert (len(load), displayed) == (2, [])


def test_a_load_that_fails_raises_and_leaves_no_drawing(
    database: Database, displayed: list[Handle], tmp_path: Any
) -> None:
    gone = Database(database.url.update_query_dict({"host": str(tmp_path)}), database.settings)
    with pytest.raises(ServerUnreachable):
        watch_load(gone, checkouts=3, threads=2, every=0.0)
    assert {one.shown[-1]["text/plain"] for one in displayed} <= {""}
