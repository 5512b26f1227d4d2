"""Verbs and entries for the tests of the editors' form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from subjunctive_admin.content import store
from subjunctive_admin.db import Database
from subjunctive_admin.structures import VerbContent
from subjunctive_admin.vocabulary import SUBJUNCTIVE_TENSES, ItemKind, Person


def verb(infinitive: str = "hablar", **changed: Any) -> VerbContent:
    """A complete verb whose forms are its stem and an ending nobody conjugates."""
    stem = infinitive[:-2]
    return VerbContent.model_validate(
        {
            "infinitive": infinitive,
            "english_translation": "to speak",
            "verb_type": "regular",
            "conjugation_class": infinitive[-2:],
            "frequency_band": 1,
            "difficulty_level": "beginner",
            "gerund": f"{stem}ando",
            "past_participle": f"{stem}ado",
            "conjugations": {tense: {person: [f"{stem}e"] for person in Person} for tense in SUBJUNCTIVE_TENSES},
            **changed,
        }
    )


def publish(database: Database, *verbs: VerbContent) -> None:
    with database.session(write=True) as session:
        for content in verbs:
            store.add(session, content, actor="seeder")


def edit_elsewhere(database: Database, infinitive: str, actor: str = "Iván", **changes: Any) -> None:
    with database.session(write=True) as session:
        revision = store.load_verb(session, infinitive).revision
        store.edit(session, ItemKind.VERB, infinitive, changes, revision=revision, actor=actor)


def loaded(database: Database, infinitive: str) -> store.Loaded[VerbContent]:
    with database.session() as session:
        return store.load_verb(session, infinitive)


def widgets_in(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from widgets_in(child)


class Editor:
    """The workbench as an editor meets it: by what is written on it."""

    def __init__(self, box: Any) -> None:
        self.box = box

    def __getitem__(self, label: str) -> Any:
        """The button, field or cell of that label."""
        for widget in widgets_in(self.box):
            if label in (getattr(widget, "description", None), getattr(widget, "tooltip", None)):
                return widget
        raise KeyError(label)

    def click(self, label: str) -> str:
        self[label].click()
        return self.status

    def write(self, label: str, value: Any) -> str:
        self[label].value = value
        return self.status

    def _html(self, kind: str) -> str:
        return next(str(w.value) for w in widgets_in(self.box) if f"sj-{kind}" in getattr(w, "_dom_classes", ()))

    @property
    def status(self) -> str:
        return self._html("status")

    @property
    def faults(self) -> str:
        return self._html("faults")

    @property
    def history(self) -> str:
        return self._html("history")

    @property
    def heading(self) -> str:
        return self._html("heading")

    @property
    def found(self) -> list[str]:
        rows = [w for w in widgets_in(self.box) if "sj-row" in getattr(w, "_dom_classes", ())][1:]
        return [row.children[0].description for row in rows if row.layout.display != "none"]
