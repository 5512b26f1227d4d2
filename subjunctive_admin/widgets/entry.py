"""A verb as an editor enters it: text in fields and cells, and back; faults and changes in words.

Nothing here knows a widget or a database: the form on top is thin, and every rule has its test.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from subjunctive_admin.content.store import HistoryLine, differences
from subjunctive_admin.structures import VerbContent
from subjunctive_admin.vocabulary import (
    PERSON_NAMES,
    SUBJUNCTIVE_TENSES,
    ConjugationClass,
    ContentStatus,
    DifficultyLevel,
    OperationKind,
    Person,
    Tense,
    VerbType,
)

Cell = tuple[Tense, Person]

LABELS: dict[str, str] = {
    "infinitive": "Infinitive",
    "english_translation": "Translation",
    "verb_type": "Verb type",
    "conjugation_class": "Conjugation class",
    "stem_change_pattern": "Stem change",
    "features": "Features",
    "frequency_rank": "Frequency rank",
    "frequency_band": "Frequency band",
    "difficulty_level": "Difficulty",
    "is_defective": "Defective",
    "gerund": "Gerund",
    "past_participle": "Past participle",
    "conjugations": "Forms",
    "conjugation_overrides": "Overrides",
    "example_sentences": "Example sentences",
    "semantic_tags": "Topics",
    "usage_notes": "Usage notes",
    "cultural_notes": "Cultural notes",
    "status": "Status",
}
_LISTS = ("features", "semantic_tags")
_SENTENCE_BREAK = "|"
_NOT_ENTERED = ("conjugation_class", "conjugations", "conjugation_overrides", "status")
_WORDS_OF_FAULTS = (
    (r"^(String|Value) should have at least 1 .*$", "is empty"),
    (r"^String should match pattern .*$", "is a lower-case infinitive in -ar, -er, -ir or -ír, with -se or not"),
    (r"^Input should be a valid integer.*$", "is a whole number"),
    (r"^Input should be greater than 0$", "is 1 or more"),
)


@dataclass(frozen=True)
class VerbEntry:
    """What stands in the form: a value for each field but the forms, and a text for each cell."""

    fields: Mapping[str, Any]
    cells: Mapping[Cell, str]


@dataclass(frozen=True)
class Fault:
    """Why an entry cannot be published; `path` is the field, with tense and person for a cell."""

    path: str
    sentence: str


@dataclass(frozen=True)
class Difference:
    """One field before and after, as text."""

    label: str
    before: str
    after: str


BLANK_ENTRY = VerbEntry(
    fields={
        "infinitive": "",
        "english_translation": "",
        "verb_type": VerbType.REGULAR.value,
        "stem_change_pattern": "",
        "features": "",
        "frequency_rank": "",
        "frequency_band": 5,
        "difficulty_level": DifficultyLevel.BEGINNER.value,
        "is_defective": False,
        "gerund": "",
        "past_participle": "",
        "example_sentences": "",
        "semantic_tags": "",
        "usage_notes": "",
        "cultural_notes": "",
    },
    cells={},
)


def tense_label(tense: str) -> str:
    """`Present perfect subjunctive`."""
    return tense.replace("_", " ").capitalize()


def mood_and_tense(tense: str) -> tuple[str, str]:
    """`Subjunctive` and `Present perfect`: a heading, and a label below it."""
    words = tense.split("_")
    if words[0] == "imperative":
        words = [*words[1:], words[0]]
    return words[-1].capitalize(), " ".join(words[:-1]).capitalize()


def cell_label(tense: str, person: str) -> str:
    """`Present subjunctive, tú`."""
    return f"{tense_label(tense)}, {PERSON_NAMES[Person(person)]}"


def shown_tenses(content: VerbContent | None) -> tuple[Tense, ...]:
    """The six tenses of the subjunctive, then the others that the verb has."""
    has = content.conjugations if content else {}
    return (*SUBJUNCTIVE_TENSES, *(tense for tense in Tense if tense in has and tense not in SUBJUNCTIVE_TENSES))


def read_forms(text: str) -> list[str]:
    """The accepted forms of a cell, the one to teach first: `hablara, hablase`, also with ; or / between them."""
    return _parts(r"[,;/]", text)


def write_forms(accepted: Iterable[str]) -> str:
    """`hablara, hablase`."""
    return ", ".join(accepted)


def read_lines(text: str) -> list[str]:
    """The lines of a list, whose items may hold commas."""
    return _parts(r"\n", text)


def _parts(separator: str, text: str) -> list[str]:
    """Composed (NFC), one space between words, none empty and none twice."""
    parts = (" ".join(part.split()) for part in re.split(separator, unicodedata.normalize("NFC", text)))
    return list(dict.fromkeys(part for part in parts if part))


def read_sentences(text: str) -> list[dict[str, str]]:
    """One sentence a line, `Spanish | English`; a line without its translation is left for validation."""
    lines = (line.partition(_SENTENCE_BREAK) for line in text.splitlines() if line.strip())
    return [{"es": es.strip(), "en": en.strip()} for es, _, en in lines]


def write_sentences(sentences: Iterable[Mapping[str, str]]) -> str:
    """The lines that `read_sentences` reads."""
    return "\n".join(f"{sentence['es']} {_SENTENCE_BREAK} {sentence['en']}" for sentence in sentences)


def entry_of(content: VerbContent) -> VerbEntry:
    """A verb as text."""
    payload = content.payload()
    fields = {name: _write_field(name, payload[name]) for name in payload if name not in _NOT_ENTERED}
    cells = {
        (tense, person): write_forms(forms)
        for tense, persons in content.conjugations.items()
        for person, forms in persons.items()
    }
    return VerbEntry(fields, cells)


def _write_field(name: str, value: Any) -> Any:
    match name:
        case "example_sentences":
            return write_sentences(value)
        case "frequency_rank" | "stem_change_pattern":
            return "" if value is None else str(value)
        case _ if name in _LISTS:
            return "\n".join(value)
    return value


def _read_field(name: str, value: Any) -> Any:
    match name:
        case "example_sentences":
            return read_sentences(unicodedata.normalize("NFC", value))
        case "frequency_rank":
            text = value.strip()
            return int(text) if text.isdecimal() else text or None
        case "stem_change_pattern":
            return value or None
        case _ if name in _LISTS:
            return read_lines(value)
    return unicodedata.normalize("NFC", value).strip() if isinstance(value, str) else value


def changes_of(content: VerbContent, entry: VerbEntry) -> dict[str, Any]:
    """Field → new value, for exactly what the editor changed; untouched fields keep what they hold."""
    before, payload = entry_of(content), content.payload()
    changed = {
        name: read
        for name, value in entry.fields.items()
        if value != before.fields[name] and (read := _read_field(name, value)) != payload[name]
    }
    cells = {
        cell: forms
        for cell, text in entry.cells.items()
        if (forms := read_forms(text)) != read_forms(before.cells.get(cell, ""))
    }
    return changed | _changed_forms(payload, cells)


def _changed_forms(payload: Mapping[str, Any], cells: Mapping[Cell, list[str]]) -> dict[str, Any]:
    if not cells:
        return {}
    conjugations = {tense: dict(persons) for tense, persons in payload["conjugations"].items()}
    overrides = {tense: dict(persons) for tense, persons in payload["conjugation_overrides"].items()}
    for (tense, person), forms in cells.items():
        if forms:
            conjugations.setdefault(tense, {})[person] = forms
        else:
            conjugations.get(tense, {}).pop(person, None)
        # An override wins over the rule: a cell edited under one would come back with the next derivation.
        if forms and person in overrides.get(tense, {}):
            overrides[tense][person] = {**overrides[tense][person], "forms": forms}
    changed: dict[str, Any] = {"conjugations": {tense: persons for tense, persons in conjugations.items() if persons}}
    if overrides != payload["conjugation_overrides"]:
        changed["conjugation_overrides"] = overrides
    return changed


def payload_of(entry: VerbEntry, content: VerbContent | None) -> dict[str, Any]:
    """The whole verb as entered, on top of the loaded one; its class follows from the ending."""
    if content is not None:
        return {**content.payload(), **changes_of(content, entry)}
    payload = {name: _read_field(name, value) for name, value in entry.fields.items()}
    ending = payload["infinitive"].removesuffix("se")[-2:].replace("í", "i")
    payload["conjugation_class"] = ending if ending in list(ConjugationClass) else ConjugationClass.AR.value
    empty: dict[str, Any] = {"conjugations": {}, "conjugation_overrides": {}, "status": ContentStatus.PUBLISHED.value}
    return payload | empty | _changed_forms(empty, {c: f for c, text in entry.cells.items() if (f := read_forms(text))})


def find_faults(payload: Mapping[str, Any]) -> list[Fault]:
    """Everything that stops the verb from being published, in the order of its fields."""
    found: list[Fault] = []
    try:
        VerbContent.model_validate(dict(payload))
    except ValidationError as error:
        found = [_fault(details) for details in error.errors() if "forms are missing" not in details["msg"]]
    return found + _missing_forms(payload)


def _fault(details: ErrorDetails) -> Fault:
    path = ".".join(str(part) for part in details["loc"] if part != "[key]")
    said = details["msg"].removeprefix("Value error, ")
    for pattern, words in _WORDS_OF_FAULTS:
        said = re.sub(pattern, words, said)
    return Fault(path, f"{path_label(path)}: {said}." if path else f"{said[:1].upper()}{said[1:]}.")


def _missing_forms(payload: Mapping[str, Any]) -> list[Fault]:
    if payload["is_defective"]:
        return []
    found = []
    for tense in SUBJUNCTIVE_TENSES:
        missing = [person for person in Person if not payload["conjugations"].get(tense, {}).get(person)]
        if missing:
            whom = "anybody" if len(missing) == len(Person) else "; ".join(PERSON_NAMES[person] for person in missing)
            sentence = f"{tense_label(tense)}: there is no form for {whom}."
            found += [Fault(f"conjugations.{tense}.{person}", sentence) for person in missing]
    return found


def faulty_cells(faults: Iterable[Fault]) -> set[Cell]:
    """The cells that faults point at."""
    paths = (fault.path.split(".") for fault in faults)
    return {(Tense(p[1]), Person(p[2])) for p in paths if p[0] == "conjugations" and len(p) > 2}


def sentences_of(faults: Iterable[Fault]) -> list[str]:
    """Each sentence once, in order."""
    return list(dict.fromkeys(fault.sentence for fault in faults))


def path_label(path: str) -> str:
    """A dotted path in the words of the form: `Present subjunctive, tú`."""
    match path.split("."):
        case ["conjugations", tense, person, *_]:
            return cell_label(tense, person)
        case ["conjugations", tense]:
            return tense_label(tense)
        case ["conjugation_overrides", tense, person, *_]:
            return f"Override of {cell_label(tense, person)}"
        case ["conjugation_overrides", tense]:
            return f"Overrides of {tense_label(tense)}"
        case ["example_sentences", number, language]:
            return f"Example sentence {int(number) + 1}, {'English' if language == 'en' else 'Spanish'}"
        case [name, *_]:
            return LABELS.get(name, name)
    return path


def value_text(value: Any) -> str:
    """Any value of a payload as text; nothing is the empty text."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case {"es": es, "en": en}:
            return f"{es} {_SENTENCE_BREAK} {en}"
        case dict():
            return "; ".join(f"{PERSON_NAMES.get(key, key)} {value_text(inner)}" for key, inner in value.items())
        case list():
            separator = "; " if any(isinstance(inner, dict) for inner in value) else ", "
            return separator.join(value_text(inner) for inner in value)
    return str(value)


def described(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[Difference]:
    """Field by field, what two payloads disagree on, in the words of the form."""
    return [
        Difference(path_label(path), value_text(old), value_text(new)) for path, old, new in differences(before, after)
    ]


def change_labels(content: VerbContent | None, entry: VerbEntry) -> list[str]:
    """What the editor changed and has not published; for a new verb, the fields that were filled."""
    if content is not None:
        before = content.payload()
        return [difference.label for difference in described(before, {**before, **changes_of(content, entry)})]
    blank = payload_of(BLANK_ENTRY, None)
    return [d.label for d in described(blank, payload_of(entry, None)) if d.label != LABELS["conjugation_class"]]


def history_steps(lines: Sequence[HistoryLine]) -> list[tuple[HistoryLine, list[Difference]]]:
    """Each state, newest first, with what it changed; the first state and one taken away change nothing."""
    steps = []
    for at, line in enumerate(lines):
        before = lines[at + 1].payload if at + 1 < len(lines) else None
        both = before is not None and line.payload is not None
        steps.append((line, described(before, line.payload) if both else []))
    return steps


def deed(line: HistoryLine) -> str:
    """What an operation did, as a word for a list: `edited`."""
    return {
        OperationKind.SEED: "seeded",
        OperationKind.ADD: "added",
        OperationKind.EDIT: "edited",
        OperationKind.RETIRE: "retired",
        OperationKind.RESTORE: "brought back",
        OperationKind.UNDO: "change taken back" if line.payload else "taken away again",
        OperationKind.CONFIGURE: "configured",
    }[line.kind]


def rebased(base: VerbContent, entry: VerbEntry, live: VerbContent) -> tuple[VerbEntry, list[str]]:
    """The editor's changes on top of what went live in between, and the labels of what both changed."""
    old, new = entry_of(base), entry_of(live)
    fields = {name: value for name, value in entry.fields.items() if value != old.fields[name]}
    cells = {cell: text for cell, text in entry.cells.items() if text != old.cells.get(cell, "")}
    clashes = [LABELS[name] for name in fields if new.fields[name] not in (old.fields[name], fields[name])]
    clashes += [
        cell_label(*cell)
        for cell, text in cells.items()
        if new.cells.get(cell, "") not in (old.cells.get(cell, ""), text)
    ]
    return replace(new, fields={**new.fields, **fields}, cells={**new.cells, **cells}), clashes
