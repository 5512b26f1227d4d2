"""What the controls of a notebook share: outputs that change in their place, and a box that a report can do without.

What is shown are outputs of the notebook, not parts of a widget: a report keeps them, and without a browser the
same cell shows the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as W  # noqa: N812 - as its documentation does

from subjunctive_admin.errors import SubjunctiveError
from subjunctive_admin.look.markup import mark
from subjunctive_admin.vocabulary import Status

_LOG = logging.getLogger(__name__)

Output = tuple[dict[str, Any], dict[str, Any]]


class ControlBox(W.VBox):  # type: ignore[misc] # ipywidgets has no types
    """A box that says in a place without widgets, such as a report, what would stand there."""

    def __init__(self, instead: str, children: Sequence[Any]) -> None:
        self._instead = instead
        super().__init__(children)

    def __repr__(self) -> str:
        return f"{self._instead}; open this notebook in JupyterLab to use it."


class Places:
    """Outputs displayed one below the other, each of which can be replaced where it stands."""

    def __init__(self) -> None:
        self._handles: list[Any] = []

    def display(self, outputs: Sequence[Output]) -> None:
        """Display each under a handle of its own."""
        from IPython.display import display  # noqa: PLC0415 - only a notebook has it

        for data, metadata in outputs:
            handle = display(data, metadata=metadata, raw=True, display_id=True)
            if handle is not None:  # None where there is no notebook
                self._handles.append(handle)

    def replace(self, outputs: Sequence[Output]) -> None:
        """Put these, as many as were displayed, in the place of those."""
        for handle, (data, metadata) in zip(self._handles, outputs, strict=False):
            handle.update(data, metadata=metadata, raw=True)


class Said(W.HTML):  # type: ignore[misc]
    """A sentence beside a control: how the last choice ended."""

    def say(self, status: Status, sentence: str) -> None:
        """Show the sentence with its status."""
        self.value = f'<div class="sj" role="status">{mark(status, sentence)}</div>'

    def outcome_of(self, act: Callable[[], str]) -> None:
        """The one boundary of a callback: say the sentence that `act` returns, or what it raised."""
        try:
            sentence = act()
        except SubjunctiveError as error:
            self.say(Status.WARNING, str(error))
        except Exception as error:  # noqa: BLE001 - ipywidgets would swallow it
            _LOG.exception("a control failed")
            self.say(Status.CRITICAL, f"{type(error).__name__}: {error}")
        else:
            self.say(Status.OK, sentence)


def output_of(fragment: Any) -> Output:
    """A fragment that is one output, as all but charts are."""
    return {"text/html": fragment._repr_html_(), "text/plain": fragment.text()}, {}
