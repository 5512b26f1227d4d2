"""The choice of a learner: what is listed, what changes, and what is said when a name fits nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from subjunctive_admin.analytics.learners import Performance, read_performance
from subjunctive_admin.db import Database
from subjunctive_admin.errors import NotFound
from subjunctive_admin.look.charts import PLOTLY_MIME
from subjunctive_admin.widgets import learner as widget
from subjunctive_admin.widgets.learner import Explorer, explore_learners
from tests.analytics.practice import School


@pytest.fixture
def found(database: Database) -> Performance:
    """Ana has twelve answers over days, Anton two, Bea one; Carla none."""
    with database.session(write=True) as session:
        school = School(session)
        for name, answers in (("ana", 12), ("Anton", 2), ("bea", 1), ("carla", 0)):
            learner = school.learner(name)
            for day in range(answers):
                school.answer(learner, 2 * day)
    return read_performance(database, days=30)


@pytest.fixture
def explorer(database: Database, found: Performance) -> Explorer:
    return Explorer(database, found)


def shown(explorer: Explorer) -> str:
    return " ".join(str(data.get("text/plain", "")) for data, _ in explorer.outputs())


def test_those_who_practised_are_listed_the_most_active_first(explorer: Explorer) -> None:
    assert explorer.field.options == ("ana", "Anton", "bea")
    assert explorer.field.value == "ana"
    assert "3 practised in these days" in explorer.status.value


def test_choosing_a_learner_changes_what_is_shown(explorer: Explorer) -> None:
    assert "One learner: ana" in shown(explorer)
    explorer.field.value = "ANTON"
    assert "One learner: Anton" in shown(explorer)
    assert "Anton: 2 answers in these days." in explorer.status.value


def test_the_letters_of_only_one_name_are_enough(explorer: Explorer) -> None:
    assert explorer.choose("be").username == "bea"


@pytest.mark.parametrize(
    ("typed", "said"),
    [("an", "2 learners practised under it"), ("zoe", "nobody practised under it")],
)
def test_a_name_that_fits_several_or_nobody_is_refused_and_nothing_changes(
    explorer: Explorer, typed: str, said: str
) -> None:
    with pytest.raises(NotFound, match=said):
        explorer.choose(typed)
    explorer.field.value = typed
    assert said in explorer.status.value
    assert "One learner: ana" in shown(explorer)


def test_an_unexpected_error_is_said_beside_the_field(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("<b>no</b>")

    monkeypatch.setattr(widget, "find_learner", broken)
    explorer.field.value = "bea"
    assert "RuntimeError: &lt;b&gt;no&lt;/b&gt;" in explorer.status.value


def test_clearing_the_field_asks_nothing(explorer: Explorer) -> None:
    before = explorer.status.value
    explorer.field.value = " "
    assert explorer.status.value == before


@pytest.mark.parametrize("name", ["ana", "bea", "carla"])
def test_every_learner_takes_the_same_number_of_outputs(explorer: Explorer, name: str) -> None:
    explorer.choose(name)
    assert len(explorer.outputs()) == 2 + 2 * 3


def test_charts_are_drawn_only_where_there_are_answers(explorer: Explorer) -> None:
    drawn = {}
    for name in ("ana", "bea", "carla"):
        explorer.choose(name)
        drawn[name] = sum(PLOTLY_MIME in data for data, _ in explorer.outputs())
    assert drawn == {"ana": 2, "bea": 1, "carla": 0}


class Handle:
    """A display that remembers what it was told to show."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    def update(self, data: dict[str, Any], **_: Any) -> None:
        self.data = data


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a notebook displays, in order; handles where one was asked for."""
    made: list[Any] = []

    def display(one: Any, *, display_id: bool = False, **_: Any) -> Handle | None:
        made.append(Handle(one) if display_id else one)
        return made[-1] if display_id else None

    monkeypatch.setattr("IPython.display.display", display)
    return made


def test_the_field_stands_first_and_the_charts_below_it_are_replaced_in_place(
    database: Database, found: Performance, displayed: list[Any]
) -> None:
    explore_learners(database, found)
    box, *handles = displayed
    assert "open this notebook in JupyterLab" in repr(box)

    box.children[0].children[0].value = "bea"

    assert len(handles) == 8
    assert "One learner: bea" in handles[0].data["text/plain"]
    assert PLOTLY_MIME in handles[3].data


def test_without_a_learner_nothing_is_displayed(database: Database, found: Performance, displayed: list[Any]) -> None:
    explore_learners(database, replace(found, learner=None))
    explore_learners(database, replace(found, window=None))
    assert displayed == []


def test_a_place_without_a_notebook_shows_the_learner_and_keeps_no_handle(
    explorer: Explorer, capsys: pytest.CaptureFixture[str]
) -> None:
    explorer.display_all()
    capsys.readouterr()
    assert explorer.choose("bea").username == "bea"
