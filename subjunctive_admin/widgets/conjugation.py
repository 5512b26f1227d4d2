"""The conjugation lab's controls: another verb, and another answer tried on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets as W  # noqa: N812 - as its documentation does

from subjunctive_admin.content import paradigm_view as view
from subjunctive_admin.content.conjugation import Paradigm
from subjunctive_admin.vocabulary import PERSON_NAMES, Person, Status, Tense
from subjunctive_admin.widgets.places import ControlBox, Output, Places, Said, output_of

_HEADING = 2
"""Outputs of a verb that stand above the fields: its heading and its figures."""


def explore_verbs(paradigm: Paradigm, tense: str, person: str, answer: str, verbs: Sequence[str] = ()) -> None:
    """Display the verb and the answer under fields that change them; `verbs` are offered while typing.

    Raises `UsageError` for an unknown tense or person.
    """
    Laboratory(paradigm, tense, person, answer, verbs).display_all()


class Laboratory:
    """Which verb is shown, which answer is tried on it, and the fields that change both."""

    def __init__(self, paradigm: Paradigm, tense: str, person: str, answer: str, verbs: Sequence[str] = ()) -> None:
        self._paradigm = paradigm
        self._readings = view.try_answer(paradigm, tense, person, answer)
        self._of_verb, self._of_answer = Places(), Places()
        self.verb = W.Combobox(
            value=paradigm.infinitive,
            options=list(verbs),
            description="Verb",
            placeholder="an infinitive",
            continuous_update=False,
            ensure_option=False,
        )
        tenses = [(one.replace("_", " "), one) for one in Tense]
        self.tense = W.Dropdown(options=tenses, value=Tense(tense), description="Tense")
        persons = [(name, one) for one, name in PERSON_NAMES.items()]
        self.person = W.Dropdown(options=persons, value=Person(person), description="Person")
        self.answer = W.Text(value=answer, description="Answer", continuous_update=False)
        self.said = Said()
        self.said.say(Status.INFO, "Type another verb, or an answer that a learner might write.")
        self.verb.observe(self._verb_changed, names="value")
        for field in (self.tense, self.person, self.answer):
            field.observe(self._answer_changed, names="value")
        fields = [W.HBox([self.verb, self.said]), W.HBox([self.tense, self.person, self.answer])]
        self.box = ControlBox("The choice of a verb and of an answer", fields)

    def verb_outputs(self) -> list[Output]:
        """What is shown of the verb."""
        return [output_of(fragment) for fragment in view.paradigm_view(self._paradigm)]

    def answer_outputs(self) -> list[Output]:
        """What is shown of the answer."""
        return [output_of(fragment) for fragment in view.answer_view(self._readings, self.answer.value)]

    def display_all(self) -> None:
        """Display the verb's heading, the fields, the answer's readings and the forms."""
        from IPython.display import display  # noqa: PLC0415 - only a notebook has it

        of_verb = self.verb_outputs()
        self._of_verb.display(of_verb[:_HEADING])
        display(self.box)
        self._of_answer.display(self.answer_outputs())
        self._of_verb.display(of_verb[_HEADING:])

    def show_verb(self, infinitive: str) -> str:
        """Show this verb and try the answer on it; returns what to say. Raises `UsageError` for what is no verb."""
        self._paradigm = view.read_paradigm(infinitive)
        self._of_verb.replace(self.verb_outputs())
        self.try_answer()
        return f"{view.headline(self._paradigm)}."

    def try_answer(self) -> str:
        """Try the answer on the verb; returns what to say."""
        self._readings = view.try_answer(self._paradigm, self.tense.value, self.person.value, self.answer.value)
        outputs = self.answer_outputs()
        self._of_answer.replace(outputs)
        return f"{view.answer_headline(self._readings, self.answer.value)}."

    def _verb_changed(self, change: Any) -> None:
        if change["new"].strip():
            self.said.outcome_of(lambda: self.show_verb(change["new"].strip()))

    def _answer_changed(self, _change: Any) -> None:
        self.said.outcome_of(self.try_answer)
