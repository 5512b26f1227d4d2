"""Content in the database: found, published by named operations, kept apart from other editors, taken back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from subjunctive_admin.content import store
from subjunctive_admin.content.store import Done, differences, find_verbs, load, load_all, load_verb, verb_lines
from subjunctive_admin.db import Database
from subjunctive_admin.errors import Conflict, ConstraintRefused, InvalidContent, NotFound, SubjunctiveError, UsageError
from subjunctive_admin.models import Exercise, Operation, Revision, Scenario, SpanishVerb, SystemConfiguration
from subjunctive_admin.structures import Content
from subjunctive_admin.vocabulary import ContentStatus, ItemKind, OperationKind
from tests.content.items import HISTORY_TABLES, achievement, entry, exercise, rows_of, scenario, verb, verb_fields
from tests.refusals import refused_by
from tests.statements import statements


def added(session: Session, *contents: Content) -> None:
    for content in contents:
        store.add(session, content, actor="ana")


def found(session: Session, query: str = "", **given: Any) -> list[str]:
    return [line.infinitive for line in verb_lines(session, query, **given)]


def edited(session: Session, key: str = "hablar", kind: ItemKind = ItemKind.VERB, **changes: Any) -> Done:
    """Publish the changes on whatever is live."""
    return store.edit(session, kind, key, changes, revision=load(session, kind, key).revision, actor="ana")


def told(session: Session, key: str = "hablar", kind: ItemKind = ItemKind.VERB) -> list[tuple[int, str, str]]:
    """The item's whole history: number, operation, actor, newest first."""
    return [(line.revision, line.kind.value, line.actor) for line in store.history(session, kind, key)]


def translation(session: Session, key: str = "hablar") -> str:
    return load_verb(session, key).content.english_translation


def count_of(session: Session, table: type[Any]) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def both_at_once(database: Database, act: Callable[[Session], Any]) -> list[Any]:
    """What two editors get who do the same thing at the same moment: the result, or the refusal."""
    barrier = threading.Barrier(2)

    def editor(_number: int) -> Any:
        try:
            with database.session(write=True) as session:
                session.connection()
                barrier.wait()
                return act(session)
        except SubjunctiveError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        return sorted(pool.map(editor, range(2)), key=lambda outcome: isinstance(outcome, Exception))


# Finding.


@pytest.mark.parametrize("query", ["oir", "oír", "OÍR", "  Oir ", "oi\u0301r", "hear"])
def test_accents_capitals_and_spaces_do_not_matter_when_a_verb_is_looked_for(session: Session, query: str) -> None:
    added(session, verb("oír", english_translation="to hear"), verb("hablar"))
    assert found(session, query) == ["oír"]


def test_the_tilde_of_the_n_is_kept_because_it_makes_another_letter(session: Session) -> None:
    added(session, verb("sonar"), verb("soñar"))
    assert (found(session, "son"), found(session, "SOÑ")) == (["sonar"], ["soñar"])


def test_a_match_at_the_beginning_comes_before_a_more_frequent_verb(session: Session) -> None:
    added(session, verb("mantener", frequency_rank=1), verb("tener", frequency_rank=2), verb("tensar"))
    assert found(session, "ten") == ["tener", "tensar", "mantener"]


def test_without_a_query_verbs_come_by_rank_and_those_without_one_last(session: Session) -> None:
    added(session, verb("cantar"), verb("amar"), verb("ser", frequency_rank=1))
    assert found(session) == ["ser", "amar", "cantar"]


@pytest.mark.parametrize("query", ["%", "_", "\\", "'", "xyz"])
def test_signs_of_patterns_are_looked_for_as_themselves(session: Session, query: str) -> None:
    added(session, verb())
    assert found(session, query) == []


def test_no_more_than_the_limit_are_returned(session: Session) -> None:
    added(session, *(verb(name) for name in ("amar", "cantar", "hablar")))
    assert [row[0].infinitive for row in session.execute(find_verbs(limit=2))] == ["amar", "cantar"]


def test_retired_verbs_are_found_alone_when_asked_for(session: Session) -> None:
    added(session, verb("amar"), verb("hablar"))
    store.set_status(session, ItemKind.VERB, "amar", ContentStatus.RETIRED, actor="ana")
    assert found(session) == ["amar", "hablar"]
    assert found(session, status=ContentStatus.RETIRED) == ["amar"]
    assert found(session, status=ContentStatus.PUBLISHED) == ["hablar"]


def test_a_line_counts_the_published_exercises_of_its_verb(session: Session) -> None:
    added(session, verb(), verb("amar"), scenario(), exercise("a"), exercise("b"), exercise("c"))
    store.set_status(session, ItemKind.EXERCISE, "c", ContentStatus.RETIRED, actor="ana")
    assert {line.infinitive: line.exercises for line in verb_lines(session)} == {"hablar": 2, "amar": 0}


# Loading.


def test_a_loaded_item_is_what_was_published_with_the_number_of_its_revision(session: Session) -> None:
    contents = [verb(), scenario(), exercise(), achievement(), entry()]
    added(session, *contents)
    session.expire_all()
    assert [load(session, content.kind, content.key) for content in contents] == [
        store.Loaded(content, 1) for content in contents
    ]


@pytest.mark.parametrize("kind", list(ItemKind))
def test_an_unknown_key_is_not_found_and_named(session: Session, kind: ItemKind) -> None:
    with pytest.raises(NotFound, match=f"no {kind} 'nada'"):
        load(session, kind, "nada")


@pytest.mark.parametrize("size", [1, 12])
def test_loading_everything_takes_three_statements_however_much_there_is(session: Session, size: int) -> None:
    added(session, scenario(), scenario("boda", position=2))
    for number in range(size):
        infinitive = f"habl{'a' * number}ar"
        added(session, verb(infinitive))
        for slug in ("cena", "boda"):
            added(session, exercise(f"{slug}-{number}", scenario=slug, verb=infinitive))
    session.expire_all()
    for kind, most in ((ItemKind.VERB, 1), (ItemKind.EXERCISE, 3), (ItemKind.SCENARIO, 1)):
        session.expunge_all()
        with statements(session.connection()) as seen:
            load_all(session, kind)
        assert len(seen) <= most, seen


# Publishing.


def test_adding_writes_the_row_its_operation_and_its_first_revision(session: Session) -> None:
    done = store.add(session, verb(), actor="ana", note="from the list")
    row = session.scalars(select(SpanishVerb)).one()
    assert (row.infinitive, row.revision, row.status) == ("hablar", 1, ContentStatus.PUBLISHED)
    (line,) = store.history(session, ItemKind.VERB, "hablar")
    assert (line.revision, line.kind, line.actor, line.note) == (1, OperationKind.ADD, "ana", "from the list")
    assert line.payload == verb().payload()
    assert (done.kind, done.items) == (OperationKind.ADD, ("hablar",))
    assert done.sentence == "hablar was added and is live."


def test_each_operation_writes_one_revision_and_says_its_number(session: Session) -> None:
    added(session, verb())
    done = edited(session, english_translation="to talk")
    retired = store.set_status(session, ItemKind.VERB, "hablar", ContentStatus.RETIRED, actor="berta")
    restored = store.set_status(session, ItemKind.VERB, "hablar", ContentStatus.PUBLISHED, actor="carla")
    undone = store.undo_last(session, actor="dora")
    assert told(session) == [
        (5, "undo", "dora"),
        (4, "restore", "carla"),
        (3, "retire", "berta"),
        (2, "edit", "ana"),
        (1, "add", "ana"),
    ]
    assert [done.sentence, retired.sentence, restored.sentence, undone.sentence] == [
        "hablar is live as revision 2.",
        "hablar was retired; its answers are kept.",
        "hablar is live again.",
        "The last change (restore of hablar by carla) was taken back.",
    ]
    row = session.scalars(select(SpanishVerb).execution_options(populate_existing=True)).one()
    assert (row.revision, row.status, row.english_translation) == (5, ContentStatus.RETIRED, "to talk")


def test_adding_a_key_that_is_live_is_refused(session: Session) -> None:
    added(session, verb())
    with pytest.raises(Conflict, match=r"already a verb 'hablar'.*edit it"):
        store.add(session, verb(), actor="berta")
    assert told(session) == [(1, "add", "ana")]


def test_an_edit_of_an_older_revision_names_who_published_in_between(session: Session) -> None:
    added(session, verb())
    store.edit(session, ItemKind.VERB, "hablar", {"usage_notes": "One."}, revision=1, actor="berta")
    with pytest.raises(Conflict, match="berta published revision 2 of hablar while you were editing revision 1"):
        store.edit(session, ItemKind.VERB, "hablar", {"usage_notes": "Two."}, revision=1, actor="ana")
    assert load_verb(session, "hablar").content.usage_notes == "One."


def test_a_field_that_no_verb_has_is_refused_with_those_there_are(session: Session) -> None:
    added(session, verb())
    with pytest.raises(UsageError, match=r"A verb has no field colour\..*infinitive, english_translation"):
        edited(session, colour="red")


def test_a_key_never_changes(session: Session) -> None:
    added(session, verb())
    with pytest.raises(UsageError, match=r"key of hablar never changes.*add charlar and retire hablar"):
        edited(session, infinitive="charlar")


def test_an_edit_that_changes_nothing_is_refused(session: Session) -> None:
    added(session, verb())
    with pytest.raises(UsageError, match="hablar already says exactly that"):
        edited(session, english_translation="  to speak ")
    assert told(session) == [(1, "add", "ana")]


def test_every_fault_of_an_edit_is_reported_at_once_and_nothing_is_written(session: Session) -> None:
    added(session, verb())
    with pytest.raises(InvalidContent, match="This verb cannot be published") as caught:
        edited(session, english_translation=" ", frequency_band=9, gerund="Hablando!")
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["english_translation", "frequency_band", "gerund"]
    assert told(session) == [(1, "add", "ana")]


def test_a_form_that_goes_missing_is_named(session: Session) -> None:
    added(session, verb())
    forms = verb_fields()["conjugations"]
    del forms["present_subjunctive"]["vosotros"]
    with pytest.raises(InvalidContent, match="forms are missing: present_subjunctive vosotros"):
        edited(session, conjugations=forms)


def test_retiring_what_is_retired_is_refused(session: Session) -> None:
    added(session, verb())
    store.set_status(session, ItemKind.VERB, "hablar", ContentStatus.RETIRED, actor="ana")
    with pytest.raises(Conflict, match="hablar is retired already"):
        store.set_status(session, ItemKind.VERB, "hablar", ContentStatus.RETIRED, actor="ana")


@pytest.mark.parametrize("content", [achievement(), entry()], ids=["achievement", "configuration"])
def test_what_has_no_status_cannot_be_retired(session: Session, content: Content) -> None:
    added(session, content)
    with pytest.raises(UsageError, match=f"{content.kind} cannot be retired"):
        store.set_status(session, content.kind, content.key, ContentStatus.RETIRED, actor="ana")
    assert told(session, content.key, content.kind) == [(1, "add", "ana")]


def test_an_exercise_of_a_verb_that_is_not_there_is_refused_by_its_name(session: Session) -> None:
    added(session, verb(), scenario())
    with pytest.raises(NotFound, match="no verb 'ser', which an exercise refers to"):
        store.add(session, exercise(verb="ser"), actor="ana")
    assert count_of(session, Exercise) == 0


def test_an_exercise_moves_to_another_scenario_and_keeps_its_row(session: Session) -> None:
    added(session, verb(), scenario(), scenario("boda"), exercise())
    before = session.scalars(select(Exercise.id)).one()
    edited(session, "cena-1", ItemKind.EXERCISE, scenario="boda", accepted_answers=["hable", "charle"])
    row = session.execute(select(Exercise.id, Exercise.accepted_answers, Scenario.slug).join(Scenario)).one()
    assert tuple(row) == (before, ["hable", "charle"], "boda")


def test_a_configuration_entry_remembers_who_changed_it(session: Session) -> None:
    added(session, entry())
    store.edit(session, ItemKind.CONFIGURATION, "practice.daily_goal", {"value": 30}, revision=1, actor="berta")
    row = session.scalars(select(SystemConfiguration)).one()
    assert (row.value, row.updated_by) == (30, "berta")


def test_two_editors_of_the_same_revision_get_one_publication_and_one_conflict(database: Database) -> None:
    with database.session(write=True) as session:
        added(session, verb())

    def act(session: Session) -> Done:
        return store.edit(session, ItemKind.VERB, "hablar", {"usage_notes": "Mine."}, revision=1, actor="ana")

    done, refusal = both_at_once(database, act)
    assert isinstance(done, Done)
    assert isinstance(refusal, Conflict)
    assert "revision 2 of hablar while you were editing revision 1" in str(refusal)
    with database.session() as session:
        assert told(session) == [(2, "edit", "ana"), (1, "add", "ana")]


def test_two_editors_adding_the_same_verb_leave_one_and_the_other_reads_why(database: Database) -> None:
    done, refusal = both_at_once(database, lambda session: store.add(session, verb(), actor="ana"))
    assert isinstance(done, Done)
    assert isinstance(refusal, Conflict | ConstraintRefused)
    with database.session() as session:
        assert told(session) == [(1, "add", "ana")]
        assert count_of(session, Operation) == 1


def test_a_verb_that_came_after_the_look_is_not_overwritten(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = store._last_revisions

    def while_another_adds(session: Session, kind: ItemKind, keys: Any) -> dict[str, int]:
        monkeypatch.setattr(store, "_last_revisions", last)
        with database.session(write=True) as other:
            store.add(other, verb(english_translation="to talk"), actor="berta")
        return last(session, kind, keys)

    monkeypatch.setattr(store, "_last_revisions", while_another_adds)
    with pytest.raises(ConstraintRefused), database.session(write=True) as session:
        store.add(session, verb(), actor="ana")
    with database.session() as session:
        assert (translation(session), told(session)) == ("to talk", [(1, "add", "berta")])


def test_two_editors_taking_back_the_same_change_take_it_back_once(database: Database) -> None:
    with database.session(write=True) as session:
        added(session, verb())
        edited(session, english_translation="to talk")
    done, refusal = both_at_once(database, lambda session: store.undo_last(session, actor="ana"))
    assert isinstance(done, Done)
    assert "already undone" in str(refusal)
    with database.session() as session:
        assert (translation(session), len(told(session))) == ("to speak", 3)


# Taking back.


def test_taking_back_an_addition_takes_the_row_away_and_numbers_count_on(session: Session) -> None:
    added(session, verb())
    store.undo_last(session, actor="berta")
    assert count_of(session, SpanishVerb) == 0
    assert [line.payload for line in store.history(session, ItemKind.VERB, "hablar")] == [None, verb().payload()]
    added(session, verb(english_translation="to talk"))
    assert told(session) == [(3, "add", "ana"), (2, "undo", "berta"), (1, "add", "ana")]
    assert session.scalars(select(SpanishVerb.revision)).one() == 3


def test_taking_back_the_second_addition_takes_the_row_away_again(session: Session) -> None:
    added(session, verb())
    store.undo_last(session, actor="ana")
    added(session, verb())
    store.undo_last(session, actor="ana")
    assert count_of(session, SpanishVerb) == 0


def test_taking_back_an_edit_brings_every_field_back(session: Session) -> None:
    added(session, verb(example_sentences=[{"es": "Hablo.", "en": "I speak."}]))
    before = load_verb(session, "hablar").content
    edited(session, english_translation="to talk", example_sentences=[], usage_notes="New.", frequency_rank=7)
    done = store.undo_last(session, actor="berta")
    assert load_verb(session, "hablar") == store.Loaded(before, 3)
    operation = session.get_one(Operation, done.operation_id)
    undone = session.get_one(Operation, operation.undoes)
    assert (operation.kind, undone.kind) == (OperationKind.UNDO, OperationKind.EDIT)


def test_taking_back_twice_takes_back_the_change_before(session: Session) -> None:
    added(session, verb(), verb("amar"))
    edited(session, english_translation="to talk")
    edited(session, "amar", english_translation="to adore")
    assert "edit of amar" in store.undo_last(session, actor="ana").sentence
    assert "edit of hablar" in store.undo_last(session, actor="ana").sentence
    assert (translation(session), translation(session, "amar")) == ("to speak", "to speak")


def test_changes_of_one_item_are_taken_back_one_after_the_other_to_its_beginning(session: Session) -> None:
    added(session, verb())
    for word in ("one", "two", "three"):
        edited(session, english_translation=word)
    states = []
    for _ in range(3):
        store.undo_last(session, actor="ana")
        states.append(translation(session))
    assert states == ["two", "one", "to speak"]
    store.undo_last(session, actor="ana")
    assert found(session) == []
    with pytest.raises(NotFound, match="no change to take back"):
        store.undo_last(session, actor="ana")


def test_a_change_after_an_undo_is_the_next_to_be_taken_back(session: Session) -> None:
    added(session, verb())
    edited(session, english_translation="one")
    store.undo_last(session, actor="ana")
    edited(session, english_translation="two")
    store.undo_last(session, actor="ana")
    assert translation(session) == "to speak"
    store.undo_last(session, actor="ana")
    assert found(session) == []


def test_an_operation_on_many_items_is_taken_back_as_one(session: Session) -> None:
    added(session, verb(), verb("amar"))
    editing = store.Editing(session, OperationKind.EDIT, actor="ana")
    for name in ("hablar", "amar"):
        editing.publish(verb(name, english_translation="to do"))
    store.undo_last(session, actor="ana")
    assert (translation(session), translation(session, "amar")) == ("to speak", "to speak")


def test_where_nothing_was_changed_there_is_nothing_to_take_back(session: Session) -> None:
    with pytest.raises(NotFound, match="There is no change to take back"):
        store.undo_last(session, actor="ana")


def test_a_change_that_seeding_came_after_is_not_taken_back(database: Database) -> None:
    with database.session(write=True) as session:
        added(session, verb())
        edited(session, english_translation="to talk")
        store.Editing(session, OperationKind.SEED, actor="seed").publish(verb(english_translation="to chat"))
    before = rows_of(database, "spanish_verbs", *HISTORY_TABLES)
    with (
        pytest.raises(Conflict, match=r"hablar was changed again since \(revision 3\)"),
        database.session(write=True) as session,
    ):
        store.undo_last(session, actor="ana")
    assert rows_of(database, "spanish_verbs", *HISTORY_TABLES) == before


def test_a_verb_that_exercises_use_stays_and_its_addition_is_not_taken_back(database: Database) -> None:
    with database.session(write=True) as session:
        store.Editing(session, OperationKind.SEED, actor="seed").publish(scenario())
        added(session, verb())
        store.Editing(session, OperationKind.SEED, actor="seed").publish(exercise())
    before = rows_of(database, "spanish_verbs", "exercises", *HISTORY_TABLES)
    with pytest.raises(ConstraintRefused) as caught, database.session(write=True) as session:
        store.undo_last(session, actor="ana")
    assert caught.value.message.startswith("exercises still uses this row of spanish_verbs (Key (id)=(")
    assert caught.value.next_step == "retire it instead: what learners have met is kept"
    assert caught.value.constraint == "fk_exercises_verb_id"
    assert "exercises" in str(caught.value)
    assert rows_of(database, "spanish_verbs", "exercises", *HISTORY_TABLES) == before


def test_a_transaction_that_fails_half_way_leaves_nothing_of_its_operations(database: Database) -> None:
    before = rows_of(database, "spanish_verbs", *HISTORY_TABLES)
    with pytest.raises(NotFound, match="no scenario 'boda'"), database.session(write=True) as session:
        added(session, verb(), exercise(scenario="boda"))
    assert rows_of(database, "spanish_verbs", *HISTORY_TABLES) == before


def test_an_operation_is_undone_once_whatever_python_does(session: Session) -> None:
    added(session, verb())
    first = store.undo_last(session, actor="ana").operation_id
    undone = session.get_one(Operation, first).undoes
    with refused_by(session, "uq_operations_undoes") as refusal:
        store.Editing(session, OperationKind.UNDO, actor="ana", undoes=undone)
    assert "already undone" in refusal.words


def test_a_live_row_that_breaks_a_rule_is_reported_and_not_shown_as_content(session: Session) -> None:
    added(session, verb())
    session.execute(update(SpanishVerb).values(gerund="HABLANDO"))
    session.expire_all()
    with pytest.raises(InvalidContent, match="gerund: 'HABLANDO' is not a verb form"):
        load_verb(session, "hablar")


def test_revisions_are_never_rewritten(session: Session) -> None:
    added(session, verb())
    first = store.history(session, ItemKind.VERB, "hablar")[0]
    edited(session, english_translation="to talk")
    store.undo_last(session, actor="ana")
    assert store.history(session, ItemKind.VERB, "hablar")[-1] == first
    assert session.scalar(select(func.max(Revision.revision))) == 3


# Differences.


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [("a", 1, 2)]),
        ({"a": {"b": {"c": ["x"], "d": 1}}}, {"a": {"b": {"c": ["y"], "d": 1}}}, [("a.b.c", ["x"], ["y"])]),
        ({"a": {"b": 1}}, {"a": {"c": 2}}, [("a.b", 1, None), ("a.c", None, 2)]),
        ({"a": {"b": 1}}, {"a": None}, [("a", {"b": 1}, None)]),
        (None, {"a": 1}, [("a", None, 1)]),
        ({"a": 1}, None, [("a", 1, None)]),
        (None, None, []),
    ],
)
def test_differences_name_the_deepest_path_with_both_values(before: Any, after: Any, expected: Any) -> None:
    assert differences(before, after) == expected


def test_the_difference_of_one_form_is_its_tense_and_person() -> None:
    forms = verb_fields()["conjugations"]
    forms["present_subjunctive"]["tu"] = ["hables"]
    changed = verb(conjugations=forms)
    assert differences(verb().payload(), changed.payload()) == [
        ("conjugations.present_subjunctive.tu", ["hable"], ["hables"])
    ]


# Drafts.


def test_a_draft_of_what_refers_to_nothing_is_refused(session: Session) -> None:
    editing = store.Editing(session, OperationKind.ADD, actor="ana")
    with pytest.raises(NotFound, match="There is no scenario 'cena', which an exercise refers to"):
        editing.draft_all([exercise()])


def test_a_key_that_has_a_draft_is_refused_and_the_draft_stays(database: Database) -> None:
    with database.session(write=True) as session:
        added(session, verb(), scenario())
        store.Editing(session, OperationKind.ADD, actor="ana").draft_all([exercise("a")])
    with pytest.raises(ConstraintRefused, match="pk_drafts"), database.session(write=True) as session:
        store.Editing(session, OperationKind.ADD, actor="ben").draft_all([exercise("a", prompt="Espero que ___.")])
    with database.session() as session:
        (draft,) = store.drafts_of(session, ItemKind.EXERCISE).values()
    assert (draft.author, draft.payload) == ("ana", exercise("a").payload())


def test_taking_back_drafts_that_are_gone_says_so(database: Database) -> None:
    with database.session(write=True) as session:
        added(session, verb(), scenario())
    with database.session(write=True) as session:
        store.Editing(session, OperationKind.ADD, actor="ana").draft_all([exercise("a")])
    with database.session(write=True) as session:
        session.delete(store.drafts_of(session, ItemKind.EXERCISE)["a"])
    with database.session(write=True) as session:
        done = store.undo_last(session, actor="ana")
    assert done.sentence == "The last change (add of drafts that are gone already by ana) was taken back."


def test_without_a_passwd_entry_the_actor_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert store.account_name() == "unknown"
