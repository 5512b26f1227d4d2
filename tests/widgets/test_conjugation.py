"""The conjugation lab's controls: what changes, what stays, and what is said of what is no verb."""

from __future__ import annotations

import pytest

from subjunctive_admin.content import paradigm_view as view
from subjunctive_admin.content.live import live_infinitives
from subjunctive_admin.db import Database
from subjunctive_admin.errors import UsageError
from subjunctive_admin.vocabulary import Person, Tense
from subjunctive_admin.widgets.conjugation import Laboratory, explore_verbs
from tests.builders import make_verb


@pytest.fixture
def lab() -> Laboratory:
    return Laboratory(
        view.read_paradigm("empezar"), "present_subjunctive", "nosotros", "empiecemos", ["ser", "empezar"]
    )


def of_verb(lab: Laboratory) -> str:
    return " ".join(data["text/plain"] for data, _ in lab.verb_outputs())


def of_answer(lab: Laboratory) -> str:
    return " ".join(data["text/plain"] for data, _ in lab.answer_outputs())


def test_the_fields_show_what_was_given_and_offer_the_verbs(lab: Laboratory) -> None:
    assert (lab.verb.value, lab.tense.value, lab.person.value, lab.answer.value) == (
        "empezar",
        Tense.PRESENT_SUBJUNCTIVE,
        Person.NOSOTROS,
        "empiecemos",
    )
    assert lab.verb.options == ("ser", "empezar")
    assert "“empiecemos” is wrong" in of_answer(lab)
    assert "empecemos" in of_verb(lab)


def test_another_verb_changes_the_forms_and_the_readings_of_the_answer(lab: Laboratory) -> None:
    lab.verb.value = "oír"
    assert "oigamos" in of_verb(lab)
    assert "empecemos" not in of_verb(lab)
    assert "oír is an irregular verb." in lab.said.value
    lab.answer.value = "oigamos"
    assert "“oigamos” is correct." in lab.said.value


@pytest.mark.parametrize(("tense", "said"), [("present_indicative", "is wrong"), ("present_subjunctive", "is correct")])
def test_another_tense_or_person_reads_the_same_answer_anew(lab: Laboratory, tense: str, said: str) -> None:
    lab.answer.value = "empecemos"
    lab.tense.value = Tense(tense)
    assert f"“empecemos” {said}" in of_answer(lab)
    lab.person.value = Person.YO
    assert "“empecemos” is wrong" in of_answer(lab)


def test_what_is_no_verb_is_said_and_the_last_one_stays(lab: Laboratory) -> None:
    lab.verb.value = "mesa"
    assert "is no Spanish infinitive" in lab.said.value
    assert "empecemos" in of_verb(lab)


def test_an_empty_verb_changes_nothing(lab: Laboratory) -> None:
    before = lab.said.value
    lab.verb.value = " "
    assert (lab.said.value, "empecemos" in of_verb(lab)) == (before, True)


def test_a_fault_in_a_callback_becomes_a_sentence(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "try_answer", lambda *_: 1 / 0)
    lab.answer.value = "empecemos"
    assert "ZeroDivisionError: division by zero" in lab.said.value


def test_a_tense_that_does_not_exist_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="'past' is no tense"):
        explore_verbs(view.read_paradigm("ser"), "past", "yo", "sea")


def test_a_report_says_where_the_fields_can_be_used(lab: Laboratory) -> None:
    assert repr(lab.box) == "The choice of a verb and of an answer; open this notebook in JupyterLab to use it."


def test_published_verbs_are_offered_the_most_frequent_first(database: Database) -> None:
    with database.session(write=True) as session:
        for infinitive, rank in (("comer", 30), ("ser", 1), ("yacer", None)):
            make_verb(session, infinitive=infinitive, frequency_rank=rank)
    assert live_infinitives(database) == ["ser", "comer", "yacer"]
