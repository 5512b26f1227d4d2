"""The workbench without a browser: its buttons are clicked, its sentences are read."""

from __future__ import annotations

import pytest

from subjunctive_admin.db import Database
from subjunctive_admin.vocabulary import SUBJUNCTIVE_TENSES, ContentStatus, Person
from subjunctive_admin.widgets import entry
from subjunctive_admin.widgets.verbs import verb_workbench
from tests.widgets.verbs import Editor, edit_elsewhere, loaded, publish, verb, widgets_in

YO = "Present subjunctive, yo"


def editor(database: Database, infinitive: str = "hablar", *, apply: bool = True) -> Editor:
    return Editor(verb_workbench(database, "Marta", apply=apply, infinitive=infinitive))


@pytest.fixture
def marta(database: Database) -> Editor:
    publish(database, verb(), verb("cantar", english_translation="to sing"))
    return editor(database)


def test_a_verb_is_found_as_it_is_typed_and_opened_by_its_name(marta: Editor) -> None:
    assert marta.found == ["cantar", "hablar"]
    marta.write("Find a verb", "sing")
    assert marta.found == ["cantar"]
    marta.click("Open cantar")
    assert marta["Translation"].value == "to sing"
    assert "cantar" in marta.heading


def test_of_many_verbs_the_first_are_shown_and_the_rest_counted(database: Database) -> None:
    publish(database, *(verb(f"{letter}ar") for letter in "bcdfghjlmn"))
    marta = editor(database, "")
    assert marta.found == [f"{letter}ar" for letter in "bcdfghjl"]
    assert any(w.value == "and 2 others; type more letters" for w in widgets_in(marta.box) if hasattr(w, "value"))


def test_a_correction_is_live_with_a_revision_and_its_history(marta: Editor, database: Database) -> None:
    assert "1 change not published yet: Translation." in marta.write("Translation", "to talk")
    marta.write(YO, "hable, habla")
    marta.write("Why, for the history", "asked by Ana")
    assert "All changes saved. hablar is live as revision 2." in marta.click("Publish")
    live = loaded(database, "hablar")
    assert live.revision == 2
    assert live.content.conjugations[SUBJUNCTIVE_TENSES[0]][Person.YO] == ["hable", "habla"]
    assert "<dd><del>to speak</del> <ins>to talk</ins></dd>" in marta.history
    assert "Marta" in marta.history
    assert "asked by Ana" in marta.history


def test_a_fault_is_framed_named_and_keeps_the_verb_from_being_published(marta: Editor, database: Database) -> None:
    marta.write(YO, "HABLE")
    assert "Present subjunctive, yo: &#x27;HABLE&#x27; is not a verb form" in marta.faults
    assert "sj-invalid" in marta[YO]._dom_classes
    assert "Nothing was published." in marta.click("Publish")
    assert loaded(database, "hablar").revision == 1
    marta.write(YO, "hable")
    assert marta.faults == ""
    assert "sj-invalid" not in marta[YO]._dom_classes
    assert "All changes saved." in marta.status


def test_a_conflict_overwrites_nothing_and_loses_nothing(marta: Editor, database: Database) -> None:
    marta.write("Translation", "to talk")
    edit_elsewhere(database, "hablar", usage_notes="Common.")
    assert "Iván published revision 2 of hablar while you were editing revision 1" in marta.click("Publish")
    assert loaded(database, "hablar").content.english_translation == "to speak"
    assert marta["Translation"].value == "to talk"
    marta.click("Load again, keep my changes")
    assert "revision 3" in marta.click("Publish")
    live = loaded(database, "hablar").content
    assert (live.english_translation, live.usage_notes) == ("to talk", "Common.")


def test_what_both_changed_is_said(marta: Editor, database: Database) -> None:
    marta.write("Translation", "to talk")
    edit_elsewhere(database, "hablar", english_translation="to say")
    marta.click("Publish")
    assert "somebody else changed it too: Translation" in marta.click("Load again, keep my changes")


def test_a_new_verb_is_typed_in_and_published(marta: Editor, database: Database) -> None:
    marta.click("New verb")
    assert "Nothing was published." in marta.click("Publish")
    assert "Infinitive: is a lower-case infinitive" in marta.faults
    for label, value in (("Infinitive", "bailar"), ("Translation", "to dance"), ("Gerund", "bailando")):
        marta.write(label, value)
    marta.write("Past participle", "bailado")
    for tense in SUBJUNCTIVE_TENSES:
        for person in Person:
            marta.write(entry.cell_label(tense, person), "baile")
    assert "bailar was added and is live." in marta.click("Publish")
    assert loaded(database, "bailar").content.conjugation_class == "ar"
    assert "bailar" in marta.found
    assert marta["Infinitive"].layout.display == "none"


def test_a_verb_that_exists_is_not_added_twice(marta: Editor, database: Database) -> None:
    written = entry.entry_of(verb())
    marta.click("New verb")
    for name, value in written.fields.items():
        if name in ("infinitive", "english_translation", "gerund", "past_participle"):
            marta.write(entry.LABELS[name], value)
    for cell, text in written.cells.items():
        marta.write(entry.cell_label(*cell), text)
    assert "There is already a verb &#x27;hablar&#x27;." in marta.click("Publish")
    assert loaded(database, "hablar").revision == 1


def test_a_verb_is_retired_and_brought_back(marta: Editor, database: Database) -> None:
    assert "hablar was retired" in marta.click("Retire hablar")
    assert loaded(database, "hablar").content.status is ContentStatus.RETIRED
    assert "hablar is live again." in marta.click("Bring hablar back")
    assert loaded(database, "hablar").content.status is ContentStatus.PUBLISHED


def test_the_last_change_is_taken_back(marta: Editor, database: Database) -> None:
    marta.write("Translation", "to talk")
    marta.click("Publish")
    assert "The last change (edit of hablar by Marta) was taken back." in marta.click("Undo last change")
    assert marta["Translation"].value == "to speak"
    assert loaded(database, "hablar").revision == 3


def test_taking_an_addition_back_closes_the_verb(database: Database) -> None:
    publish(database, verb())
    marta = editor(database)
    assert "(add of hablar by seeder) was taken back" in marta.click("Undo last change")
    assert marta.found == []
    assert "There is no change to take back." in marta.click("Undo last change")


def test_unpublished_changes_are_not_left_behind(marta: Editor) -> None:
    marta.write("Translation", "to talk")
    for label in ("Open cantar", "New verb", "Retire hablar", "Undo last change"):
        assert "hablar has 1 change not published yet. Next: publish or discard" in marta.click(label)
    marta.click("Discard")
    assert marta["Translation"].value == "to speak"
    marta.click("Open cantar")
    assert "cantar" in marta.heading


def test_without_apply_nothing_can_be_written_and_it_says_how(database: Database) -> None:
    publish(database, verb())
    reader = editor(database, apply=False)
    shown = "".join(str(getattr(w, "value", "")) for w in reader.box.children)
    assert "set <code>apply = True</code>" in shown
    for label in ("Publish", "Retire hablar", "Undo last change", "New verb"):
        assert reader[label].disabled
    reader.write("Translation", "to talk")
    # A disabled button can still be clicked by code.
    assert "This notebook only reads." in reader.click("Publish")
    assert loaded(database, "hablar").revision == 1


def test_an_unknown_verb_and_an_empty_database_are_said(database: Database) -> None:
    nobody = editor(database, "hablr")
    assert "There is no verb &#x27;hablr&#x27;." in nobody.status
    assert nobody.found == []


def test_whatever_a_callback_raises_becomes_a_sentence(
    marta: Editor, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_args: object, **_more: object) -> None:
        raise ZeroDivisionError("by <nothing>")

    monkeypatch.setattr("subjunctive_admin.content.store.verb_lines", broken)
    assert "Unexpected ZeroDivisionError: by &lt;nothing&gt;" in marta.click("Find")
    assert "ZeroDivisionError" in caplog.text


def test_a_database_that_went_away_is_a_sentence(marta: Editor, empty_database: Database) -> None:
    lost = editor(empty_database)
    assert "lacks what this version needs" in lost.status


def test_in_a_place_without_widgets_it_says_what_it_is(marta: Editor) -> None:
    assert repr(marta.box) == "The workbench for verbs; open this notebook in JupyterLab to use it."
