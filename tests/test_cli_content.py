"""`conjugate`, `diagnose` and `content ...`: what they print, what lines of stdin give, and their exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import insert, text

from subjunctive_admin import seeding
from subjunctive_admin.content.live import check_live
from subjunctive_admin.content.store import drafts_of, load, undo_last
from subjunctive_admin.db import Database
from subjunctive_admin.errors import UsageError
from subjunctive_admin.models import Dismissal
from subjunctive_admin.vocabulary import ItemKind
from tests.conftest import Cluster
from tests.test_cli import Run, run

__all__ = ["run"]


@pytest.fixture(scope="module")
def library(cluster: Cluster) -> Iterator[Database]:
    """The shipped seeds."""
    with cluster.database(cluster.template) as database:
        with database.session(write=True) as session:
            seeding.seed(session, seeding.read_seeds())
        yield database


@pytest.fixture
def own(cluster: Cluster, library: Database) -> Iterator[Database]:
    """A copy of the shipped seeds that a test may change."""
    library.dispose()
    with cluster.database(str(library.url.database)) as database:
        yield database


def test_a_verb_is_printed_with_the_rule_behind_each_form(run: Run) -> None:
    ran = run("conjugate", "buscar")
    assert ran.code == 0
    assert ran.out.startswith("buscar – spelling changing: spelling c→qu before e\nbuscando · buscado\n")
    assert "  yo        busque                                      spelling c→qu before e\n" in ran.out


def test_a_verb_is_json_with_every_tense_and_the_views(run: Run) -> None:
    found = json.loads(run("conjugate", "guiar", "--json").out)
    assert set(found) == {"infinitive", "verb_type", "features", "gerund", "past_participle", "forms", "rules", "notes"}
    assert found["forms"]["preterite_indicative"]["yo"] == ["guie", "guié"]
    assert found["forms"]["imperfect_subjunctive_se"]["nosotros"] == ["guiásemos"]
    assert found["notes"]["preterite_indicative"]["yo"] == ["older spelling: guié"]


def test_verbs_are_read_one_a_line_and_answered_in_order(run: Run) -> None:
    ran = run("conjugate", "-", "--json", stdin="hablar\nmesa\nOÍR\n")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert (ran.code, [line["infinitive"] for line in lines]) == (1, ["hablar", "mesa", "oír"])
    assert "is no Spanish infinitive" in lines[1]["error"]
    assert run("conjugate", "-", "--json", stdin="hablar\n").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("conjugate", "mesa"), "“mesa” is no Spanish infinitive"),
        (("conjugate", ""), "There is no verb"),
        (("conjugate", "-"), "Lines are answered in JSON"),
        (("diagnose", "mesa", "present_subjunctive", "yo", "x"), "is no Spanish infinitive"),
        (("diagnose", "hablar", "past", "yo", "x"), "'past' is no tense; there are present_subjunctive"),
        (("diagnose", "hablar", "present_subjunctive", "we", "x"), "'we' is no person; there are yo, tu"),
    ],
)
def test_wrong_usage_is_said_and_exits_64(run: Run, arguments: tuple[str, ...], said: str) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (64, "")
    assert said in ran.err


def test_an_answer_is_diagnosed_in_words_and_in_json(run: Run) -> None:
    assert run("diagnose", "hablar", "present_subjunctive", "yo", "hable").out.splitlines()[0] == "correct"
    assert "mood" in run("diagnose", "hablar", "present_subjunctive", "yo", "hablo").out
    found = json.loads(run("diagnose", "hablar", "imperfect_subjunctive", "nosotros", "hablaramos", "--json").out)
    assert found["verdict"] == "accent_only"
    assert found["readings"][0]["error_kind"] == "accent"
    assert found["readings"][0]["form_of"] == {"tense": "imperfect_subjunctive", "person": "nosotros"}
    twin = json.loads(run("diagnose", "hablar", "imperfect_subjunctive", "yo", "hablase", "--json").out)
    assert (twin["verdict"], twin["readings"][0]["error_kind"]) == ("accepted", None)


def test_answers_are_read_one_a_line(run: Run) -> None:
    lines = "buscar\tpresent_subjunctive\tyo\tbusce\nnonsense\nmesa\tpresent_subjunctive\tyo\tx\n"
    ran = run("diagnose", "-", "--json", stdin=lines)
    found = [json.loads(line) for line in ran.out.splitlines()]
    assert (ran.code, found[0]["readings"][0]["error_kind"]) == (1, "spelling")
    assert ["between tabs" in found[1]["error"], "no Spanish infinitive" in found[2]["error"]] == [True, True]


def test_the_shipped_library_has_no_finding_and_meets_its_targets(run: Run, library: Database) -> None:
    checked = run("content", "check", "--json", on=library)
    assert (checked.code, {one["severity"] for one in json.loads(checked.out)} - {"info"}) == (0, set())
    covered = run("content", "coverage", on=library)
    assert (covered.code, covered.out.splitlines()[0].split()) == (0, ["present", "imperfect", "perfect", "pluperfect"])
    assert "targets are met." in covered.out
    found = json.loads(run("content", "coverage", "--json", on=library).out)
    assert found["trigger_by_tense"]["conditional"]["present_subjunctive"] == 0


def test_a_stale_form_is_a_finding_until_it_is_dismissed_for_that_content(run: Run, own: Database) -> None:
    stale: dict[str, Any] = {"item": "hablar", "form": '["habla"]'}
    with own.connection(write=True) as connection:
        connection.execute(
            text(
                "UPDATE spanish_verbs SET conjugations = jsonb_set(conjugations, '{present_subjunctive,yo}',"
                " CAST(:form AS jsonb)) WHERE infinitive = :item"
            ),
            stale,
        )
    ran = run("content", "check", "--only", "form-stale", on=own)
    assert (ran.code, ran.out.splitlines()[-1]) == (1, "1 finding.")
    assert "hablar: present_subjunctive yo: habla is stored, hable by rule." in ran.out
    with own.session(write=True) as session:
        loaded = load(session, ItemKind.VERB, "hablar").content
        session.execute(
            insert(Dismissal).values(
                check_id="form-stale",
                item_kind="verb",
                item_key="hablar",
                content_hash=loaded.content_hash(),
                reason="a test",
                actor="tester",
            )
        )
    assert run("content", "check", "--only", "form-stale", on=own).code == 0
    with own.connection(write=True) as connection:
        connection.execute(text("UPDATE spanish_verbs SET usage_notes = 'changed' WHERE infinitive = 'hablar'"))
    assert run("content", "check", "--only", "form-stale", on=own).code == 1


def test_an_unknown_check_is_wrong_usage_with_those_there_are(library: Database) -> None:
    with library.session() as session, pytest.raises(UsageError, match="There is no check no-such") as refused:
        check_live(session, ["no-such"])
    assert "form-stale" in str(refused.value.next_step)


GENERATE = ("content", "generate", "--scenario", "cena-familiar")


def test_generated_exercises_are_shown_and_nothing_is_written(run: Run, own: Database) -> None:
    ran = run(*GENERATE, "--verb", "leer", "--trigger", "time", "--person", "tu", "--count", "2", on=own)
    assert ran.code == 0
    assert "Me sentiré mejor cuando tú" in ran.out
    assert ran.out.splitlines()[-2:] == [
        "2 exercises for cena-familiar.",
        "Nothing was written, this was a dry run. Next: the same with --apply",
    ]
    assert written_drafts(own) == 0


def test_generated_exercises_become_drafts_once(run: Run, own: Database) -> None:
    first = json.loads(run(*GENERATE, "--count", "3", "--apply", "--json", on=own).out)
    assert (first["written"], first["fewer"], len(first["exercises"]), written_drafts(own)) == (3, 0, 3, 3)
    again = run(*GENERATE, "--count", "3", "--apply", on=own)
    assert (again.code, again.out.splitlines()[-1]) == (0, "Nothing was written: 3 exercises have a draft already.")
    assert written_drafts(own) == 3
    with own.session(write=True) as session:
        undo_last(session, actor="ana")
    assert written_drafts(own) == 0


def test_json_says_which_error_each_distractor_stands_for(run: Run, library: Database) -> None:
    ran = run(*GENERATE, "--type", "multiple_choice", "--difficulty", "beginner", "--count", "4", "--json", on=library)
    for made in json.loads(ran.out)["exercises"]:
        assert list(made["distractor_kinds"]) == made["distractors"]
        assert set(made["distractor_kinds"].values()) <= {"mood", "person", "tense"}
        assert (made["exercise_type"], made["difficulty_level"]) == ("multiple_choice", "beginner")


def test_fewer_than_wanted_is_a_finding(run: Run, library: Database) -> None:
    ran = run(*GENERATE, "--verb", "leer", "--trigger", "time", "--person", "tu", "--tense", "present_subjunctive",
              "--type", "fill_blank", "--count", "9", on=library)  # fmt: skip
    assert (ran.code, ran.out.splitlines()[-2]) == (1, "1 exercise for cena-familiar, 8 fewer than the 9 wanted.")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--verb", "mesa"), 64, "is no Spanish infinitive"),
        (("--verb", "cantar"), 64, "There is no live verb 'cantar'"),
        (("--verb", "gustar"), 64, "No frame makes a sentence"),
        (("--trigger", "wishes"), 64, "'wishes' is no trigger class"),
        (("--tense", "past"), 64, "'past' is no tense"),
        (("--person", "we"), 64, "'we' is no person"),
        (("--type", "quiz"), 64, "'quiz' is no type of exercise"),
        (("--difficulty", "hard"), 64, "'hard' is no difficulty"),
        (("--count", "0"), 64, "0 exercises cannot be made at once"),
        (("--count", "many"), 64, "valid integer"),
        (("--scenario", "nowhere"), 2, "There is no live scenario 'nowhere'"),
    ],
)
def test_what_cannot_be_generated_is_said(
    run: Run, library: Database, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ran = run(*GENERATE, *arguments, "--apply", on=library)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert written_drafts(library) == 0


def written_drafts(database: Database) -> int:
    with database.session() as session:
        return len(drafts_of(session, ItemKind.EXERCISE))
