"""A verb as text and back, without widgets or a database."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest

from subjunctive_admin.content.store import HistoryLine
from subjunctive_admin.seeding import read_seeds
from subjunctive_admin.structures import VerbContent
from subjunctive_admin.vocabulary import SUBJUNCTIVE_TENSES, OperationKind, Person, Tense
from subjunctive_admin.widgets import entry
from subjunctive_admin.widgets.entry import BLANK_ENTRY, Difference, VerbEntry
from tests.widgets.verbs import verb

PRESENT, IMPERFECT = Tense.PRESENT_SUBJUNCTIVE, Tense.IMPERFECT_SUBJUNCTIVE


def entered(content: VerbContent, cells: dict[entry.Cell, str] | None = None, **fields: object) -> VerbEntry:
    before = entry.entry_of(content)
    return VerbEntry({**before.fields, **fields}, {**before.cells, **(cells or {})})


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("hable", ["hable"]),
        ("hablara, hablase", ["hablara", "hablase"]),
        (" hablara ,hablase, ", ["hablara", "hablase"]),
        ("hablara / hablase; hablara", ["hablara", "hablase"]),
        ("haya   hablado", ["haya hablado"]),
        ("", []),
        (" , ", []),
    ],
)
def test_a_cell_is_read_as_its_forms(text: str, forms: list[str]) -> None:
    assert entry.read_forms(text) == forms


def test_a_decomposed_accent_is_stored_composed() -> None:
    assert entry.read_forms(unicodedata.normalize("NFD", "habléis, averigüéis, riñáis")) == [
        "habléis",
        "averigüéis",
        "riñáis",
    ]


def test_sentences_are_lines_with_their_translation() -> None:
    text = "Ojalá hable. | I hope she speaks.\n\nSin traducción"
    read = entry.read_sentences(text)
    assert read == [{"es": "Ojalá hable.", "en": "I hope she speaks."}, {"es": "Sin traducción", "en": ""}]
    assert entry.read_sentences(entry.write_sentences(read)) == read


@pytest.mark.parametrize("item", [i for i in read_seeds() if isinstance(i.content, VerbContent)], ids=lambda i: i.name)
def test_a_verb_that_nobody_touched_has_no_changes(item: object) -> None:
    content = item.content  # type: ignore[attr-defined]
    written = entry.entry_of(content)
    assert entry.changes_of(content, written) == {}
    assert entry.payload_of(written, content) == content.payload()
    assert entry.payload_of(written, None) == content.payload()  # as for a new verb typed in whole
    assert entry.find_faults(content.payload()) == []


def test_only_what_was_changed_is_sent() -> None:
    changed = entered(verb(), english_translation="to talk", frequency_rank=" 7 ", semantic_tags="work\n\n family")
    assert entry.changes_of(verb(), changed) == {
        "english_translation": "to talk",
        "frequency_rank": 7,
        "semantic_tags": ["work", "family"],
    }


def test_spaces_and_order_of_keys_are_no_change() -> None:
    cells = {(PRESENT, Person.YO): "  hable  "}
    assert entry.changes_of(verb(), entered(verb(), cells, english_translation=" to speak ")) == {}


def test_one_cell_changes_only_itself() -> None:
    changes = entry.changes_of(verb(), entered(verb(), {(IMPERFECT, Person.TU): "hablaras, hablases"}))
    after = {**verb().payload(), **changes}
    assert entry.described(verb().payload(), after) == [
        Difference("Imperfect subjunctive, tú", "hable", "hablaras, hablases")
    ]


def test_a_cell_under_an_override_changes_the_override_too() -> None:
    note = {"present_subjunctive": {"tu": {"forms": ["hable"], "note": "Voseo."}}}
    content = verb(conjugation_overrides=note)
    changes = entry.changes_of(content, entered(content, {(PRESENT, Person.TU): "hablés"}))
    assert changes["conjugation_overrides"] == {"present_subjunctive": {"tu": {"forms": ["hablés"], "note": "Voseo."}}}


def test_every_fault_is_a_sentence_with_the_name_of_its_field() -> None:
    cells = {(PRESENT, Person.TU): "HABLES", (IMPERFECT, Person.YO): "", (IMPERFECT, Person.ELLOS): ""}
    wrong = entered(verb(), cells, english_translation=" ", frequency_rank="often", example_sentences="Habla.")
    faults = entry.find_faults(entry.payload_of(wrong, verb()))
    no_form = "'HABLES' is not a verb form: lower-case Spanish letters, words separated by one space."
    assert entry.sentences_of(faults) == [
        "Translation: is empty.",
        "Frequency rank: is a whole number.",
        f"Present subjunctive, tú: {no_form}",
        "Example sentence 1, English: is empty.",
        "Imperfect subjunctive: there is no form for yo; ellos, ellas, ustedes.",
    ]
    assert entry.faulty_cells(faults) == set(cells)


def test_a_defective_verb_may_lack_forms() -> None:
    cells = {(tense, person): "" for tense in SUBJUNCTIVE_TENSES for person in Person}
    assert entry.find_faults(entry.payload_of(entered(verb(), cells, is_defective=True), verb())) == []


def test_a_blank_form_says_all_that_is_missing() -> None:
    sentences = entry.sentences_of(entry.find_faults(entry.payload_of(BLANK_ENTRY, None)))
    assert "Infinitive: is a lower-case infinitive in -ar, -er, -ir or -ír, with -se or not." in sentences
    assert "Future subjunctive: there is no form for anybody." in sentences
    assert entry.change_labels(None, BLANK_ENTRY) == []


@pytest.mark.parametrize(
    ("infinitive", "ending"), [("hablar", "ar"), ("caerse", "er"), ("oír", "ir"), ("reírse", "ir")]
)
def test_the_class_of_a_new_verb_follows_from_its_ending(infinitive: str, ending: str) -> None:
    fields = {**BLANK_ENTRY.fields, "infinitive": infinitive}
    assert entry.payload_of(VerbEntry(fields, {}), None)["conjugation_class"] == ending


def test_mine_and_theirs_merge_where_they_differ_and_clash_where_they_do_not() -> None:
    mine = entered(verb(), {(PRESENT, Person.YO): "mío"}, english_translation="to talk", gerund="hablando")
    theirs = verb(english_translation="to say", usage_notes="Common.")
    merged, clashes = entry.rebased(verb(), mine, theirs)
    assert clashes == ["Translation"]
    assert merged.fields["english_translation"] == "to talk"
    assert merged.fields["usage_notes"] == "Common."
    assert merged.cells[PRESENT, Person.YO] == "mío"


def test_each_state_tells_what_it_changed() -> None:
    at = datetime(2026, 11, 22, tzinfo=UTC)
    first, second = verb().payload(), verb(english_translation="to talk").payload()
    lines = [
        HistoryLine(3, OperationKind.UNDO, "Ana", "", at, None),
        HistoryLine(2, OperationKind.EDIT, "Ana", "", at, second),
        HistoryLine(1, OperationKind.ADD, "Ana", "", at, first),
    ]
    changes = [changes for _, changes in entry.history_steps(lines)]
    assert changes == [[], [Difference("Translation", "to speak", "to talk")], []]
    assert [entry.deed(line) for line in lines] == ["taken away again", "edited", "added"]


@pytest.mark.parametrize(
    ("tense", "heading"),
    [
        (Tense.PRESENT_PERFECT_SUBJUNCTIVE, ("Subjunctive", "Present perfect")),
        (Tense.CONDITIONAL_INDICATIVE, ("Indicative", "Conditional")),
        (Tense.IMPERATIVE_NEGATIVE, ("Imperative", "Negative")),
    ],
)
def test_a_tense_stands_below_its_mood(tense: Tense, heading: tuple[str, str]) -> None:
    assert entry.mood_and_tense(tense) == heading
