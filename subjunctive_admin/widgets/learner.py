"""The choice of a learner in a notebook: type letters, pick one, and the charts below change in place."""

from __future__ import annotations

from typing import Any

import ipywidgets as W  # noqa: N812 - as its documentation does

from subjunctive_admin.analytics.learner_view import learner_view
from subjunctive_admin.analytics.learners import (
    Learner,
    Performance,
    active_learners,
    find_learner,
    read_learner,
)
from subjunctive_admin.db import Database
from subjunctive_admin.errors import NotFound
from subjunctive_admin.look import Chart
from subjunctive_admin.look.markup import number
from subjunctive_admin.vocabulary import Status
from subjunctive_admin.widgets.places import ControlBox, Output, Places, Said, output_of

_OUTPUTS_OF_A_CHART = 3
_FRAGMENTS = 4
_NOTHING: tuple[dict[str, Any], dict[str, Any]] = ({"text/html": '<div class="sj"></div>', "text/plain": ""}, {})


def explore_learners(database: Database, found: Performance) -> None:
    """Display the control and, below it, the page's learner; choosing another one changes what is below.

    Displays nothing where nobody practised.
    """
    if found.learner is None or found.window is None:
        return
    Explorer(database, found).display_all()


def outputs_of(fragments: list[Any]) -> list[Output]:
    """The fragments of one learner as a fixed number of outputs, so that each can be replaced in its place.

    A chart is three of them; a note in its stead is one, and two that show nothing.
    """
    outputs: list[Output] = []
    for at, fragment in enumerate(fragments):
        room = _OUTPUTS_OF_A_CHART if at >= _FRAGMENTS - 2 else 1
        if isinstance(fragment, Chart):
            made = [(bundle, {"subjunctive": part}) for part, bundle in fragment.outputs()]
        else:
            made = [output_of(fragment)]
        outputs += [*made, *[_NOTHING] * (room - len(made))]
    return outputs


class Explorer:
    """Which learner is shown, and the field that chooses another."""

    def __init__(self, database: Database, found: Performance) -> None:
        assert found.learner is not None
        assert found.window is not None
        self._database, self._thresholds, self._window = database, found.thresholds, found.window
        self._shown = found.learner
        self._places = Places()
        self.field = W.Combobox(
            value=self._shown.learner.username,
            options=[one.username for one in self._listed("")],
            description="Learner",
            placeholder="letters of a username",
            continuous_update=False,
            ensure_option=False,
        )
        self.status = Said()
        self.field.observe(self._chosen, names="value")
        self.box = ControlBox("The choice of a learner", [W.HBox([self.field, self.status])])
        self.status.say(Status.INFO, f"{number(len(self.field.options))} practised in these days; type to find one.")

    def outputs(self) -> list[Output]:
        """What is shown of the present learner."""
        return outputs_of(learner_view(self._shown, self._thresholds, self._window))

    def display_all(self) -> None:
        """Display the field, then each output under a handle of its own."""
        from IPython.display import display  # noqa: PLC0415 - only a notebook has it

        display(self.box)
        self._places.display(self.outputs())

    def choose(self, username: str) -> Learner:
        """Show this learner; the start of a username is enough when only one practised under it.

        Raises `NotFound`.
        """
        with self._database.connection() as connection:
            learner = find_learner(connection, self._window, username) or self._only_match(username)
            self._shown = read_learner(connection, self._window, learner)
        self._places.replace(self.outputs())
        return learner

    def _only_match(self, username: str) -> Learner:
        matching = self._listed(username)
        if len(matching) != 1:
            several = (
                f"{number(len(matching))} learners practised under it" if matching else "nobody practised under it"
            )
            raise NotFound(
                f"“{username}” is no learner's name, and {several}.", next_step="type more letters, or others"
            )
        return matching[0]

    def _listed(self, query: str) -> list[Learner]:
        with self._database.connection() as connection:
            return active_learners(connection, self._window, query)

    def _chosen(self, change: Any) -> None:
        username = change["new"].strip()
        if not username:
            return
        self.status.outcome_of(lambda: self._said_of(self.choose(username)))

    def _said_of(self, learner: Learner) -> str:
        return f"{learner.username}: {number(learner.answers)} answers in these days."
