"""Exercises proposed for a scenario: new, sound, the same for a seed, drafts alone, and taken back by undo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from subjunctive_admin import seeding
from subjunctive_admin.content import store
from subjunctive_admin.content.checks import Library, Severity, check_exercise
from subjunctive_admin.content.generation import Wanted
from subjunctive_admin.content.live import live_library
from subjunctive_admin.content.proposals import IN_LIBRARY, TAG, Proposals, propose, read_wanted, write_drafts
from subjunctive_admin.content.proposals_view import (
    proposal_lines,
    proposals_findings,
    proposals_view,
    read_proposals,
    wrong_options,
)
from subjunctive_admin.db import Database
from subjunctive_admin.errors import Conflict, NotFound, UsageError
from subjunctive_admin.look import GroupRow, Header, KeyFigures, Table
from subjunctive_admin.models import Draft, Exercise, Operation, Revision
from subjunctive_admin.reports import find_notebook, run_report
from subjunctive_admin.settings import load_settings
from subjunctive_admin.structures import ExerciseContent
from subjunctive_admin.vocabulary import (
    ContentStatus,
    DifficultyLevel,
    DraftState,
    ErrorKind,
    ExerciseType,
    ItemKind,
    OperationKind,
    Person,
    Tense,
    TriggerClass,
)
from tests.conftest import Cluster

SCENARIO = "cena-familiar"
CHOICE = Wanted(types=[ExerciseType.MULTIPLE_CHOICE], triggers=[TriggerClass.RELATIVE])


@pytest.fixture(scope="module")
def library(cluster: Cluster) -> Iterator[Database]:
    """The shipped seeds."""
    with cluster.database(cluster.template) as database:
        with database.session(write=True) as session:
            seeding.seed(session, seeding.read_seeds())
        database.dispose()
        yield database


@pytest.fixture
def own(cluster: Cluster, library: Database) -> Iterator[Database]:
    """A copy of the shipped seeds that a test may change."""
    library.dispose()
    with cluster.database(str(library.url.database)) as database:
        yield database


def proposed(session: Session, count: int = 12, seed: int = 1, wanted: Wanted = Wanted()) -> Proposals:  # noqa: B008
    return propose(session, SCENARIO, count, seed, wanted)


def written(database: Database, count: int = 12, seed: int = 1, wanted: Wanted = Wanted()) -> Proposals:  # noqa: B008
    """What an editor gets who proposes and writes."""
    with database.session(write=True) as session:
        return write_drafts(session, proposed(session, count, seed, wanted), actor="ana")[0]


def drafted(database: Database) -> dict[str, Draft]:
    with database.session() as session:
        return store.drafts_of(session, ItemKind.EXERCISE)


def counted(database: Database, table: type[Any]) -> int:
    with database.session() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def prompts(found: Proposals) -> list[str]:
    return [one.content.prompt for one in found.found]


# Proposing.


def test_as_many_are_proposed_as_are_wanted_each_sound_and_unlike_the_library(library: Database) -> None:
    with library.session() as session:
        found, live = proposed(session, 60), live_library(session)
    contents = [one.content for one in found.found]
    assert (len(contents), found.fewer, found.written) == (60, 0, 0)
    assert len({content.slug for content in contents}) == len({content.prompt for content in contents}) == 60
    whole = Library(live.verbs, (*live.exercises, *contents), live.scenarios)
    faults = [fault for content in contents for fault in check_exercise(content, whole)]
    assert [(fault.check, fault.message) for fault in faults if fault.severity is not Severity.INFO] == []


def test_a_proposal_is_an_exercise_of_the_scenario_that_is_tagged_and_placed_last(library: Database) -> None:
    with library.session() as session:
        found, live = proposed(session, 3), live_library(session)
    last = max(one.position for one in live.exercises if one.scenario == SCENARIO)  # type: ignore[attr-defined]
    assert [one.content.position for one in found.found] == [last + 1, last + 2, last + 3]
    for one in found.found:
        assert (one.content.scenario, one.content.tags) == (SCENARIO, [TAG])
        assert one.content.slug.startswith("cena-familiar-made-")
        assert ExerciseContent.model_validate(one.content.payload()) == one.content


def test_the_same_seed_proposes_the_same_and_another_others(library: Database) -> None:
    with library.session() as session:
        first, again, other = proposed(session), proposed(session), proposed(session, seed=2)
    assert first == again
    assert len(set(prompts(first)) & set(prompts(other))) < 4


def test_a_few_are_of_many_frames(library: Database) -> None:
    with library.session() as session:
        found = proposed(session, 20, wanted=Wanted(triggers=[TriggerClass.RELATIVE, TriggerClass.INDEPENDENT]))
    assert len({(one.content.trigger_phrase, one.content.tense) for one in found.found}) >= 12


def test_each_filter_holds(library: Database) -> None:
    asked = read_wanted(
        verb="leer, abrir", trigger="ojala", tense="pluperfect_subjunctive", person="tu, el", exercise_type="fill_blank",
        difficulty="advanced",
    )  # fmt: skip
    with library.session() as session:
        found = proposed(session, 4, wanted=asked)
    seen = {
        (c.verb, c.trigger_class, c.tense, c.person, c.exercise_type, c.difficulty_level)
        for c in (one.content for one in found.found)
    }
    assert seen == {
        (verb, TriggerClass.OJALA, Tense.PLUPERFECT_SUBJUNCTIVE, person, ExerciseType.FILL_BLANK, DifficultyLevel.ADVANCED)
        for verb in ("leer", "abrir")
        for person in (Person.TU, Person.EL)
    }  # fmt: skip


def test_it_says_how_many_fewer_than_wanted_there_are(library: Database) -> None:
    asked = Wanted(verbs=["leer"], triggers=[TriggerClass.TIME], persons=[Person.TU], types=[ExerciseType.FILL_BLANK])
    with library.session() as session:
        found = proposed(session, 10, wanted=asked)
    assert sorted(prompts(found)) == [
        "Me fui antes de que tú ___ (leer) el contrato.",
        "Me sentiré mejor cuando tú ___ (leer) el contrato.",
        "Me sentiré mejor cuando tú ___ (leer, tiempo compuesto) el contrato.",
    ]
    assert found.sentence == "3 exercises for cena-familiar, 7 fewer than the 10 wanted"
    (finding,) = proposals_findings(found)
    assert finding.title == "3 of the 10 wanted can be made"


def test_what_the_library_asks_already_is_left_out_even_when_it_is_retired(own: Database) -> None:
    with own.session() as session:
        first = proposed(session, 2).found[0].content
    with own.session(write=True) as session:
        store.add(session, first, actor="ana")
        store.set_status(session, ItemKind.EXERCISE, first.slug, ContentStatus.RETIRED, actor="ana")
        assert session.scalar(select(Exercise.status).where(Exercise.slug == first.slug)) is ContentStatus.RETIRED
    with own.session() as session:
        again = proposed(session, 2)
    assert first.prompt not in prompts(again)
    assert (len(again.found), again.left_out) == (2, {IN_LIBRARY: 1})


def test_a_form_that_an_editor_decided_leaves_out_what_contradicts_it(own: Database) -> None:
    asked = Wanted(verbs=["leer"], triggers=[TriggerClass.WISH], persons=[Person.TU], types=[ExerciseType.FILL_BLANK])
    with own.session(write=True) as session:
        verb = store.load_verb(session, "leer")
        forms = {tense: dict(persons) for tense, persons in verb.content.conjugations.items()}
        forms[Tense.PRESENT_SUBJUNCTIVE][Person.TU] = ["leyas"]
        store.edit(session, ItemKind.VERB, "leer", {"conjugations": forms}, revision=verb.revision, actor="ana")
    with own.session() as session:
        found = proposed(session, 10, wanted=asked)
    assert found.left_out == {"answer-not-a-form": 2}
    assert Tense.PRESENT_SUBJUNCTIVE not in {one.content.tense for one in found.found}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"verb": "mesa"}, "is no Spanish infinitive"),
        ({"trigger": "wishes"}, "'wishes' is no trigger class; there are wish, emotion"),
        ({"tense": "past"}, "'past' is no tense; there are present_subjunctive"),
        ({"person": "yo, we"}, "'we' is no person; there are yo, tu"),
        ({"exercise_type": "quiz"}, "'quiz' is no type of exercise; there are fill_blank"),
        ({"difficulty": "hard"}, "'hard' is no difficulty; there are beginner"),
    ],
)
def test_a_word_that_is_none_is_refused_with_those_there_are(given: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_wanted(**given)


def test_words_are_read_with_commas_capitals_and_nothing_for_all() -> None:
    assert read_wanted() == Wanted()
    assert read_wanted(verb="OÍR, leer,") == Wanted(verbs=["oír", "leer"])


@pytest.mark.parametrize(
    ("count", "wanted", "said"),
    [
        (0, Wanted(), "0 exercises cannot be made at once"),
        (501, Wanted(), "501 exercises cannot be made at once"),
        (5, Wanted(verbs=["cantar"]), "There is no live verb 'cantar'"),
        (5, Wanted(verbs=["gustar"]), "there are predicates of abrir, apagar"),
        (5, Wanted(triggers=[TriggerClass.CONDITIONAL], tenses=[Tense.PRESENT_SUBJUNCTIVE]), "No frame makes a sentence"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused(library: Database, count: int, wanted: Wanted, said: str) -> None:
    with library.session() as session, pytest.raises(UsageError, match=said):
        proposed(session, count, wanted=wanted)


def test_an_unknown_scenario_is_refused_with_those_there_are(library: Database) -> None:
    with library.session() as session, pytest.raises(NotFound, match="There is no live scenario 'cena'") as refused:
        propose(session, "cena", 5, 1, Wanted())
    assert "cena-familiar, consulta-medica" in str(refused.value.next_step)


def test_an_empty_database_is_told_to_be_seeded(database: Database) -> None:
    with database.session() as session, pytest.raises(NotFound, match="run subjunctive-admin seed"):
        proposed(session)


# Writing.


def test_drafts_are_written_in_one_operation_and_nothing_goes_live(own: Database) -> None:
    live, revisions = counted(own, Exercise), counted(own, Revision)
    found = written(own)
    assert found.outcome == "12 exercises were written as drafts; none is live."
    assert (counted(own, Exercise), counted(own, Revision)) == (live, revisions)
    drafts = drafted(own)
    assert {key: draft.payload for key, draft in drafts.items()} == {
        one.content.slug: one.content.payload() for one in found.found
    }
    assert {(draft.author, draft.state, draft.base_revision) for draft in drafts.values()} == {
        ("ana", DraftState.DRAFT, None)
    }
    with own.session() as session:
        operation = session.scalars(select(Operation).where(Operation.kind == OperationKind.ADD)).one()
    assert (operation.actor, operation.note) == ("ana", "made for cena-familiar, seed 1")


def test_the_same_again_writes_nothing_twice_and_says_so(own: Database) -> None:
    first, again = written(own), written(own)
    assert prompts(again) == prompts(first)
    assert (again.written, again.new) == (0, ())
    assert again.outcome == "Nothing was written: 12 exercises have a draft already."
    assert len(drafted(own)) == 12
    assert counted(own, Operation) == 2  # the seeding, and the first time


def test_more_of_a_seed_adds_only_what_is_new(own: Database) -> None:
    written(own, 5)
    more = written(own, 8)
    assert more.outcome == "3 exercises were written as drafts; none is live; 5 exercises have a draft already."
    assert len(drafted(own)) == 8


def test_another_seed_writes_nothing_that_a_draft_asks(own: Database) -> None:
    asked = Wanted(
        verbs=["leer"], triggers=[TriggerClass.CONDITIONAL], persons=[Person.TU], types=[ExerciseType.FILL_BLANK]
    )
    written(own, 1, wanted=asked)
    other = written(own, 2, seed=2, wanted=asked)
    assert (other.written, len(other.found), len(drafted(own))) == (1, 2, 2)


def test_undo_takes_back_all_drafts_of_the_last_time_and_no_others(own: Database) -> None:
    before = set(drafted(own)) | {one.content.slug for one in written(own, 3).found}
    written(own, 4, seed=2)
    with own.session(write=True) as session:
        done = store.undo_last(session, actor="ben")
    assert done.sentence == "The last change (add of 4 drafts by ana) was taken back."
    assert set(drafted(own)) == before
    with own.session(write=True) as session:
        assert store.undo_last(session, actor="ben").sentence.startswith("The last change (add of 3 drafts by ana)")
    assert drafted(own) == {}
    assert written(own, 3).written == 3


@pytest.mark.parametrize("change", [{"updated_at": func.clock_timestamp()}, {"state": DraftState.IN_REVIEW}])
def test_undo_keeps_drafts_that_were_worked_on(own: Database, change: dict[str, Any]) -> None:
    slug = written(own, 2).found[0].content.slug
    with own.session(write=True) as session:
        session.execute(update(Draft).where(Draft.item_key == slug).values(**change))
    with own.session(write=True) as session, pytest.raises(Conflict, match=f"The draft {slug} was worked on since"):
        store.undo_last(session, actor="ana")
    assert len(drafted(own)) == 2


def test_half_a_draft_stands_in_nobodys_way(own: Database) -> None:
    with own.session(write=True) as session:
        session.add(Draft(item_kind=ItemKind.EXERCISE, item_key="half", payload={"prompt": "Quiero"}, author="ben"))
    assert written(own, 2).written == 2
    with own.session(write=True) as session:
        store.undo_last(session, actor="ana")
    assert set(drafted(own)) == {"half"}


# Showing.


def cells(table: Table, row: int) -> list[Any]:
    found = table.rows[row]
    assert not isinstance(found, GroupRow)
    return list(found)


def test_the_page_shows_blank_answers_wrong_options_and_why(library: Database) -> None:
    with library.session() as session:
        found = proposed(session, 5, wanted=CHOICE)
    header, figures, _, table, _ = proposals_view(found, applied=False)
    assert isinstance(header, Header)
    assert header.summary == "Nothing was written: set `apply` to `True` to write them as drafts."
    assert isinstance(figures, KeyFigures)
    assert [value for _, value, _ in figures.figures][:3] == [5, 5, 0]
    assert isinstance(table, Table)
    (first, *_) = found.found
    asked, accepted, practises, why = cells(table, 1)
    assert asked.value == first.content.prompt.replace("___", "`___`")
    assert accepted.note == f"Wrong: {wrong_options(first)}"
    assert practises.value == first.content.tense.replace("_", " ")
    assert why == first.content.explanation
    assert set(first.kinds) == {ErrorKind.MOOD, ErrorKind.PERSON}


def test_lines_mark_what_has_a_draft_already(own: Database) -> None:
    written(own, 1, wanted=CHOICE)
    lines = list(proposal_lines(written(own, 2, wanted=CHOICE), applied=True))
    assert [line[0] for line in lines if line[0] in "=+"] == ["=", "+"]
    assert lines[-1] == "1 exercise was written as drafts; none is live; 1 exercise has a draft already."


def test_the_page_writes_under_the_account_where_no_name_is_given(own: Database) -> None:
    found = read_proposals(own, SCENARIO, 2, 1, CHOICE, apply=True)
    authors = {draft.author for draft in drafted(own).values()}
    assert (found.written, len(authors)) == (2, 1)
    assert authors.pop()


@pytest.mark.parametrize("apply", [False, True])
def test_the_notebook_shows_them_and_writes_only_when_told_to(own: Database, tmp_path: Path, apply: bool) -> None:
    url = own.url.render_as_string(hide_password=False)
    run = run_report(
        find_notebook("22_generate_exercises"),
        {"verb": "hablar, tener", "count": "6", "apply": str(apply), "actor": "ana"},
        out=tmp_path,
        settings=load_settings(database_url=url),
    )
    page = (tmp_path / "22_generate_exercises" / "22_generate_exercises.html").read_text(encoding="utf-8")
    assert (run.error, run.headline, run.status.value) == (None, "6 exercises for cena-familiar.", "ok")
    assert len(drafted(own)) == (6 if apply else 0)
    assert ("6 exercises were written as drafts; none is live." in page) is apply
    assert "Explanation" in page
