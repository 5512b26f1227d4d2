"""The choice of a learner in a notebook: type letters, pick one, and the charts below change in place.

The charts are outputs of the notebook, not part of a widget: a report keeps them, and without a browser
the same cell shows the same learner.
"""

from __future__ import annotations

import logging
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
from subjunctive_admin.errors import NotFound, SubjunctiveError
from subjunctive_admin.look import Chart
from subjunctive_admin.look.markup import mark, number
from subjunctive_admin.vocabulary import Status

_LOG = logging.getLogger(__name__)
_OUTPUTS_OF_A_CHART = 3
_FRAGMENTS = 4
_NOTHING: tuple[dict[str, Any], dict[str, Any]] = ({"text/html": '<div class="sj"></div>', "text/plain": ""}, {})

Output = tuple[dict[str, Any], dict[str, Any]]


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
            made = [({"text/html": fragment._repr_html_(), "text/plain": fragment.text()}, {})]
        outputs += [*made, *[_NOTHING] * (room - len(made))]
    return outputs


class _Box(W.VBox):  # type: ignore[misc] # ipywidgets has no types
    """A box that says in a place without widgets, such as a report, what would stand there."""

    def __repr__(self) -> str:
        return "The choice of a learner; open this notebook in JupyterLab to use it."


class Explorer:
    """Which learner is shown, and the field that chooses another."""

    def __init__(self, database: Database, found: Performance) -> None:
        assert found.learner is not None
        assert found.window is not None
        self._database, self._thresholds, self._window = database, found.thresholds, found.window
        self._shown = found.learner
        self._handles: list[Any] = []
        self.field = W.Combobox(
            value=self._shown.learner.username,
            options=[one.username for one in self._listed("")],
            description="Learner",
            placeholder="letters of a username",
            continuous_update=False,
            ensure_option=False,
        )
        self.status = W.HTML()
        self.field.observe(self._chosen, names="value")
        self.box = _Box([W.HBox([self.field, self.status])])
        self._say(Status.INFO, f"{number(len(self.field.options))} practised in these days; type to find one.")

    def outputs(self) -> list[Output]:
        """What is shown of the present learner."""
        return outputs_of(learner_view(self._shown, self._thresholds, self._window))

    def display_all(self) -> None:
        """Display the field, then each output under a handle of its own."""
        from IPython.display import display  # noqa: PLC0415 - only a notebook has it

        display(self.box)
        for data, metadata in self.outputs():
            handle = display(data, metadata=metadata, raw=True, display_id=True)
            if handle is not None:  # None where there is no notebook
                self._handles.append(handle)

    def choose(self, username: str) -> Learner:
        """Show this learner; the start of a username is enough when only one practised under it.

        Raises `NotFound`.
        """
        with self._database.connection() as connection:
            learner = find_learner(connection, self._window, username) or self._only_match(username)
            self._shown = read_learner(connection, self._window, learner)
        for handle, (data, metadata) in zip(self._handles, self.outputs(), strict=False):
            handle.update(data, metadata=metadata, raw=True)
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
        """The one boundary: whatever choosing raises becomes a sentence beside the field."""
        username = change["new"].strip()
        if not username:
            return
        try:
            learner = self.choose(username)
        except SubjunctiveError as error:
            self._say(Status.WARNING, str(error))
        except Exception as error:  # noqa: BLE001 - ipywidgets would swallow it
            _LOG.exception("choosing a learner failed")
            self._say(Status.CRITICAL, f"{type(error).__name__}: {error}")
        else:
            self._say(Status.OK, f"{learner.username}: {number(learner.answers)} answers in these days.")

    def _say(self, status: Status, sentence: str) -> None:
        self.status.value = f'<div class="sj" role="status">{mark(status, sentence)}</div>'
