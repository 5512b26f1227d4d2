"""Seeding: files become content once, what editors changed is kept, faults are all named, a failed run leaves nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from sqlalchemy import delete, func, select, text

from subjunctive_admin.content import store
from subjunctive_admin.content.store import load_verb
from subjunctive_admin.db import Database
from subjunctive_admin.errors import InvalidContent, NotFound, UsageError
from subjunctive_admin.models import Achievement, Operation
from subjunctive_admin.resources import resource_folder
from subjunctive_admin.seeding import (
    MANIFEST,
    Outcome,
    SeedReport,
    Standing,
    load_live,
    manifest,
    manifest_of,
    read_seeds,
    report_lines,
    seed,
    standings,
)
from subjunctive_admin.structures import Content
from subjunctive_admin.vocabulary import ItemKind, OperationKind
from tests.content.items import HISTORY_TABLES, achievement, entry, exercise, rows_of, scenario, verb

PLACES = {
    ItemKind.VERB: "verbs/{}.yaml",
    ItemKind.SCENARIO: "scenarios/{}.yaml",
    ItemKind.EXERCISE: "exercises/all.yaml",
    ItemKind.ACHIEVEMENT: "achievements.yaml",
    ItemKind.CONFIGURATION: "configuration.yaml",
}
SMALL: tuple[Content, ...] = (verb(), scenario(), exercise(), achievement(), entry())
NAMES = (
    "verb:hablar",
    "scenario:cena",
    "exercise:cena-1",
    "achievement:primer-intento",
    "configuration:practice.daily_goal",
)


def write_seeds(folder: Path, *contents: Content) -> Path:
    """The items as files, one for a verb or a scenario, one list for each other kind."""
    files: dict[Path, Any] = {}
    for content in contents or SMALL:
        path = folder / PLACES[content.kind].format(content.key)
        if "{}" in PLACES[content.kind]:
            files[path] = content.payload()
        else:
            files.setdefault(path, []).append(content.payload())
    for path, document in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as stream:
            YAML().dump(document, stream)
    return folder


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    """A folder with one item of each kind."""
    return write_seeds(tmp_path / "seeds")


def seeded(database: Database, folder: Path, **options: Any) -> SeedReport:
    with database.session(write=not options.get("dry_run")) as session:
        return seed(session, read_seeds(folder), **options)


def outcomes(report: SeedReport) -> dict[str, list[str]]:
    """The items by outcome, empty outcomes left out."""
    named = {outcome.value: [change.name for change in report.of(outcome)] for outcome in Outcome}
    return {outcome: names for outcome, names in named.items() if names}


def edited(database: Database, kind: ItemKind, key: str, **changes: Any) -> None:
    with database.session(write=True) as session:
        revision = store.load(session, kind, key).revision
        store.edit(session, kind, key, changes, revision=revision, actor="ana")


def told(database: Database, kind: ItemKind = ItemKind.VERB, key: str = "hablar") -> list[tuple[int, str, str]]:
    with database.session() as session:
        return [(line.revision, line.kind.value, line.actor) for line in store.history(session, kind, key)]


def faults(folder: Path) -> list[str]:
    with pytest.raises(InvalidContent) as caught:
        read_seeds(folder)
    found = list(caught.value.faults)
    counted = "1 fault" if len(found) == 1 else f"{len(found)} faults"
    assert str(caught.value).splitlines() == [
        f"The seeds have {counted}; nothing was written.",
        *(f"  {f}" for f in found),
    ]
    return found


def line_of(path: Path, start: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, start=1) if line.strip().startswith(start))


def replaced(path: Path, old: str, new: str) -> int:
    """Exchange the first occurrence; returns its line."""
    whole = path.read_text(encoding="utf-8")
    assert old in whole
    path.write_text(whole.replace(old, new, 1), encoding="utf-8")
    return whole[: whole.index(old)].count("\n") + 1


# What becomes of an item.


def test_the_first_run_adds_every_item_with_its_first_revision(database: Database, seeds: Path) -> None:
    report = seeded(database, seeds)
    assert outcomes(report) == {"added": list(NAMES)}
    assert report.sentence == "5 items: 5 added"
    with database.session() as session:
        assert [store.load(session, c.kind, c.key) for c in SMALL] == [store.Loaded(c, 1) for c in SMALL]
    assert told(database) == [(1, "seed", "seed")]


def test_a_second_run_changes_no_row_of_the_twelve_tables_nor_of_the_history(database: Database, seeds: Path) -> None:
    seeded(database, seeds)
    tables, history = rows_of(database), rows_of(database, *HISTORY_TABLES)
    report = seeded(database, seeds)
    assert report.counts == {"added": 0, "updated": 0, "unchanged": 5, "kept": 0, "taken": 0}
    assert rows_of(database) == tables
    assert rows_of(database, *HISTORY_TABLES) == history


def test_the_shipped_seeds_change_nothing_the_second_time(database: Database) -> None:
    items = read_seeds()
    for expected in ("added", "unchanged"):
        before = rows_of(database)
        with database.session(write=True) as session:
            assert outcomes(seed(session, items)) == {expected: [item.name for item in items]}
    assert rows_of(database) == before


def test_a_changed_file_updates_its_item_with_a_revision_and_leaves_the_others(database: Database, seeds: Path) -> None:
    seeded(database, seeds)
    before = rows_of(database, "scenarios", "exercises", "achievements", "system_configuration")
    write_seeds(seeds, verb(english_translation="to talk"))
    report = seeded(database, seeds)
    assert outcomes(report) == {"updated": ["verb:hablar"], "unchanged": list(NAMES[1:])}
    assert report.of(Outcome.UPDATED)[0].differences == (("english_translation", "to speak", "to talk"),)
    assert told(database) == [(2, "seed", "seed"), (1, "seed", "seed")]
    assert rows_of(database, *before) == before


@pytest.mark.parametrize("file_changed_too", [False, True], ids=["editor alone", "editor and file"])
def test_what_an_editor_changed_is_kept_and_listed(database: Database, seeds: Path, file_changed_too: bool) -> None:
    seeded(database, seeds)
    edited(database, ItemKind.VERB, "hablar", english_translation="to chat")
    before = rows_of(database)
    if file_changed_too:
        write_seeds(seeds, verb(english_translation="to talk"))
    report = seeded(database, seeds)
    wanted = "to talk" if file_changed_too else "to speak"
    assert outcomes(report)["kept"] == ["verb:hablar"]
    assert report.of(Outcome.KEPT)[0].differences == (("english_translation", "to chat", wanted),)
    assert rows_of(database) == before
    assert report_lines(report) == [
        "= kept     verb:hablar",
        f'    english_translation: live "to chat", seed "{wanted}"',
        "5 items: 4 unchanged, 1 kept.",
        "An editor's state was kept. Next: subjunctive-admin seed --take verb:hablar to overwrite it",
    ]


def test_a_configuration_that_was_set_is_kept(database: Database, seeds: Path) -> None:
    seeded(database, seeds)
    edited(database, ItemKind.CONFIGURATION, "practice.daily_goal", value=30)
    assert outcomes(seeded(database, seeds))["kept"] == ["configuration:practice.daily_goal"]


def test_a_kept_item_is_kept_again_the_next_time(database: Database, seeds: Path) -> None:
    seeded(database, seeds)
    edited(database, ItemKind.VERB, "hablar", english_translation="to chat")
    first, second = seeded(database, seeds), seeded(database, seeds)
    assert outcomes(first) == outcomes(second) == {"unchanged": list(NAMES[1:]), "kept": ["verb:hablar"]}


def test_an_editor_and_a_file_that_agree_leave_nothing_to_do(database: Database, seeds: Path) -> None:
    seeded(database, seeds)
    edited(database, ItemKind.VERB, "hablar", english_translation="to talk")
    write_seeds(seeds, verb(english_translation="to talk"))
    before = rows_of(database)
    assert outcomes(seeded(database, seeds)) == {"unchanged": list(NAMES)}
    assert rows_of(database) == before
    # From here on the file leads again.
    write_seeds(seeds, verb(english_translation="to converse"))
    assert outcomes(seeded(database, seeds))["updated"] == ["verb:hablar"]


def test_an_edit_that_was_taken_back_lets_the_file_lead_again(database: Database, seeds: Path) -> None:
    seeded(database, seeds)
    edited(database, ItemKind.VERB, "hablar", english_translation="to chat")
    with database.session(write=True) as session:
        store.undo_last(session, actor="ana")
    write_seeds(seeds, verb(english_translation="to talk"))
    assert outcomes(seeded(database, seeds))["updated"] == ["verb:hablar"]


@pytest.mark.parametrize("name", ["verb:hablar", "hablar"])
def test_taking_an_edited_item_overwrites_it_with_a_revision(database: Database, seeds: Path, name: str) -> None:
    seeded(database, seeds)
    edited(database, ItemKind.VERB, "hablar", english_translation="to chat")
    assert outcomes(seeded(database, seeds, take=[name]))["taken"] == ["verb:hablar"]
    with database.session() as session:
        assert load_verb(session, "hablar") == store.Loaded(verb(), 3)
    assert told(database)[0] == (3, "seed", "seed")
    assert outcomes(seeded(database, seeds)) == {"unchanged": list(NAMES)}


def test_taking_leaves_other_edited_items_alone(database: Database, seeds: Path) -> None:
    seeded(database, seeds)
    edited(database, ItemKind.VERB, "hablar", english_translation="to chat")
    edited(database, ItemKind.SCENARIO, "cena", title="Supper")
    report = outcomes(seeded(database, seeds, take=["hablar"]))
    assert (report["taken"], report["kept"]) == (["verb:hablar"], ["scenario:cena"])


def test_taking_an_item_that_no_seed_has_is_refused_and_nothing_is_written(database: Database, seeds: Path) -> None:
    with pytest.raises(NotFound, match="No seed is called 'verb:ser'"):
        seeded(database, seeds, take=["verb:ser"])
    assert not any(rows_of(database).values())


def test_a_key_that_two_kinds_share_is_refused_with_both_names(database: Database, seeds: Path) -> None:
    write_seeds(seeds, scenario(), achievement("cena"))
    with pytest.raises(UsageError, match=r"'cena' names several seeds: achievement:cena, scenario:cena"):
        seeded(database, seeds, take=["cena"])


def test_an_item_that_is_no_longer_live_stays_away_until_it_is_taken(database: Database, seeds: Path) -> None:
    seeded(database, seeds)
    with database.session(write=True) as session:
        session.execute(delete(Achievement))
    assert outcomes(seeded(database, seeds))["kept"] == ["achievement:primer-intento"]
    assert rows_of(database, "achievements") == {"achievements": []}
    assert outcomes(seeded(database, seeds, take=["primer-intento"]))["taken"] == ["achievement:primer-intento"]
    assert len(rows_of(database, "achievements")["achievements"]) == 1


def test_an_item_that_left_the_files_stays_live(database: Database, seeds: Path) -> None:
    write_seeds(seeds, verb("amar"))
    seeded(database, seeds)
    (seeds / "verbs/amar.yaml").unlink()
    before = rows_of(database)
    assert outcomes(seeded(database, seeds)) == {"unchanged": list(NAMES)}
    assert rows_of(database) == before


def test_an_item_that_was_live_before_the_first_seeding_is_an_editors(database: Database, seeds: Path) -> None:
    with database.session(write=True) as session:
        store.add(session, verb(english_translation="to chat"), actor="ana")
    report = outcomes(seeded(database, seeds))
    assert (report["kept"], len(report["added"])) == (["verb:hablar"], 4)


def test_a_dry_run_says_what_would_be_done_in_a_session_that_only_reads(database: Database, seeds: Path) -> None:
    report = seeded(database, seeds, dry_run=True)
    assert (outcomes(report), report.applied) == ({"added": list(NAMES)}, False)
    assert "5 items: 5 added; nothing was written, this was a dry run." in report_lines(report)
    assert not any(rows_of(database).values())
    assert not any(rows_of(database, *HISTORY_TABLES).values())


def test_one_run_is_one_operation_of_all_that_it_wrote(database: Database, seeds: Path) -> None:
    seeded(database, seeds)
    with database.session() as session:
        assert session.execute(select(Operation.kind, Operation.actor)).all() == [(OperationKind.SEED, "seed")]


def test_progress_counts_what_is_written(database: Database, seeds: Path) -> None:
    seen: list[tuple[int, int]] = []
    seeded(database, seeds, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 5) for number in range(1, 6)]


def test_the_report_as_json_lists_what_is_not_unchanged(database: Database, seeds: Path) -> None:
    seeded(database, seeds)
    edited(database, ItemKind.SCENARIO, "cena", title="Supper")
    assert seeded(database, seeds).as_dict() == {
        "applied": True,
        "counts": {"added": 0, "updated": 0, "unchanged": 4, "kept": 1, "taken": 0},
        "items": [
            {
                "item": "scenario:cena",
                "outcome": "kept",
                "differences": [{"field": "title", "live": "Supper", "seed": "Dinner"}],
            }
        ],
        "findings": [],
    }


def test_what_was_written_is_checked_and_its_faults_are_told_first(database: Database, seeds: Path) -> None:
    write_seeds(seeds, *SMALL[:2], exercise(accepted_answers=["habla"]))
    report = seeded(database, seeds)

    (fault,) = [one for one in report.faults if one.check == "answer-not-a-form"]
    lines = report_lines(report)
    start = lines.index(f"The content checks find {len(report.faults)} faults in what the seeds say:")
    assert (fault.kind, fault.key) == (ItemKind.EXERCISE, "cena-1")
    assert lines[start - 1].startswith("5 items: ")
    assert lines[-2:] == [f"  and {len(report.faults) - 5} more", "Next: subjunctive-admin content check"]
    assert len(report.as_dict()["findings"]) == len(report.findings)


def test_a_dry_run_checks_the_files(database: Database, seeds: Path) -> None:
    write_seeds(seeds, *SMALL[:2], exercise(accepted_answers=["habla"]))
    found = seeded(database, seeds, dry_run=True).faults
    assert "answer-not-a-form" in {one.check for one in found}


def test_only_what_was_written_is_checked(database: Database, seeds: Path) -> None:
    assert seeded(database, seeds).faults
    assert seeded(database, seeds).findings == ()


def test_the_shipped_seeds_have_no_fault(database: Database) -> None:
    with database.session(write=True) as session:
        assert seed(session, read_seeds()).faults == []


def test_the_shipped_manifest_is_that_of_the_shipped_files() -> None:
    folder = resource_folder("seeds")
    shipped = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert shipped == manifest_of(folder), "run scripts/write_manifest.py"


def test_a_manifest_of_other_files_is_not_believed(seeds: Path) -> None:
    hashes = {content.key: content.content_hash() for content in SMALL}
    for damaged in ("", "[]", '{"files": "0", "items": {"verb:ir": "0"}}'):
        (seeds / MANIFEST).write_text(damaged, encoding="utf-8")
        assert list(manifest(seeds)) == list(NAMES)
    assert manifest(seeds)["verb:hablar"] == hashes["hablar"]


def standing(database: Database, folder: Path) -> dict[Standing, list[str]]:
    with database.session() as session:
        found = standings(session, load_live(session), manifest(folder))
    return {standing: names for standing, names in found.items() if names}


def test_live_items_stand_to_the_seeds_as_seeding_would_treat_them(database: Database, seeds: Path) -> None:
    assert standing(database, seeds) == {Standing.MISSING: list(NAMES)}
    seeded(database, seeds)
    assert standing(database, seeds) == {}

    edited(database, ItemKind.SCENARIO, "cena", title="Supper")
    with database.session(write=True) as session:
        session.execute(delete(Achievement))
        store.add(session, verb("comer", gerund="comiendo"), actor="ana")
    write_seeds(seeds, verb(english_translation="to chat"), *SMALL[1:])

    assert standing(database, seeds) == {
        Standing.MISSING: ["achievement:primer-intento"],
        Standing.BEHIND: ["verb:hablar"],
        Standing.EDITED: ["scenario:cena"],
        Standing.EXTRA: ["verb:comer"],
    }


def test_a_long_report_shows_its_beginning_and_says_how_much_is_left_out(database: Database, seeds: Path) -> None:
    write_seeds(seeds, *(achievement(f"number-{number}") for number in range(60)))
    lines = report_lines(seeded(database, seeds))
    assert lines[40:42] == ["  and 24 more; --json lists them all", "64 items: 64 added."]


def test_accents_survive_the_way_from_the_file_in_whatever_form_they_were_typed(
    database: Database, seeds: Path
) -> None:
    composed = verb("oír", usage_notes="Se oyó: ¡qué bueno!")
    write_seeds(seeds, composed)
    path = seeds / "verbs/oír.yaml"
    decomposed = path.read_text(encoding="utf-8").replace("í", "i\u0301").replace("ó", "o\u0301")
    path.write_text(decomposed, encoding="utf-8")
    seeded(database, seeds)
    with database.session() as session:
        assert load_verb(session, "oír").content == composed


# Faults of files.


def test_a_folder_without_files_misses_each_kind_by_name(tmp_path: Path) -> None:
    (tmp_path / "seeds").mkdir()
    assert faults(tmp_path / "seeds") == [
        "seeds/verbs/*.yaml: no such file",
        "seeds/scenarios/*.yaml: no such file",
        "seeds/exercises/*.yaml: no such file",
        "seeds/achievements.yaml: no such file",
        "seeds/configuration.yaml: no such file",
    ]


def test_damaged_yaml_is_named_with_its_line(seeds: Path) -> None:
    line = replaced(seeds / "scenarios/cena.yaml", "title: Dinner", "title: [Dinner")
    (fault, *_rest) = faults(seeds)
    assert fault.startswith(f"seeds/scenarios/cena.yaml:{line + 1}: not YAML: ")


def test_a_key_that_stands_twice_in_one_mapping_is_named_with_its_line(seeds: Path) -> None:
    line = replaced(seeds / "scenarios/cena.yaml", "title: Dinner", "title: Dinner\ntitle: Supper")
    (fault, *_rest) = faults(seeds)
    assert fault.startswith(f"seeds/scenarios/cena.yaml:{line + 1}: not YAML: found duplicate key")


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("scenarios/cena.yaml", "title: Dinner", "titel: Dinner", "titel: Extra inputs are not permitted"),
        (
            "scenarios/cena.yaml",
            "estimated_minutes: 20",
            "estimated_minutes: soon",
            "estimated_minutes: Input should be a valid integer",
        ),
        ("scenarios/cena.yaml", "context: social", "context: family", "context: Input should be 'social', "),
        ("exercises/all.yaml", "person: yo", "person: usted", "person: Input should be 'yo', 'tu', "),
        ("achievements.yaml", "value: 10", "value: 0", "criteria.value: Input should be greater than 0"),
        ("configuration.yaml", "name: practice.daily_goal", "name: Goal", "name: String should match pattern"),
        (
            "verbs/hablar.yaml",
            "- hable",
            "- Hable",
            "conjugations.present_subjunctive.yo.0: 'Hable' is not a verb form",
        ),
        ("verbs/hablar.yaml", "gerund: hablando", "gerund: [hablando]", "gerund: Input should be a valid string"),
        ("scenarios/cena.yaml", "title: Dinner", "title: 2026", "title: Input should be a valid string"),
    ],
)
def test_a_fault_is_named_with_file_line_and_key(seeds: Path, file: str, old: str, new: str, expected: str) -> None:
    line = replaced(seeds / file, old, new)
    assert any(fault.startswith(f"seeds/{file}:{line}: {expected}") for fault in faults(seeds)), faults(seeds)


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            "verbs/hablar.yaml",
            "    vosotros:\n    - hable\n",
            "",
            "verbs/hablar.yaml:1: forms are missing: present_subjunctive vosotros",
        ),
        (
            "verbs/hablar.yaml",
            "conjugation_class: ar",
            "conjugation_class: er",
            "verbs/hablar.yaml:1: hablar ends in -ar, so conjugation_class is ar",
        ),
        (
            "exercises/all.yaml",
            "___",
            "...",
            "exercises/all.yaml:1: a fill_blank has exactly one ___ in its prompt",
        ),
        (
            "configuration.yaml",
            "value: 20",
            "value: 500",
            "configuration.yaml:1: practice.daily_goal is at most 200, not 500",
        ),
    ],
)
def test_a_rule_of_the_whole_item_is_named_at_its_first_line(
    seeds: Path, file: str, old: str, new: str, expected: str
) -> None:
    replaced(seeds / file, old, new)
    assert any(fault.startswith(f"seeds/{expected}") for fault in faults(seeds))


def test_an_item_that_stands_twice_is_named_at_both_places(seeds: Path) -> None:
    write_seeds(seeds, exercise("a"), exercise("b"), exercise("a", prompt="Pide que yo ___ (hablar)."))
    (fault,) = faults(seeds)
    second = (seeds / "exercises/all.yaml").read_text(encoding="utf-8").splitlines().index("- slug: b") + 1
    assert second < int(fault.split(":")[1])
    assert fault.endswith("exercise:a stands in seeds/exercises/all.yaml:1 already")


def test_an_exercise_of_a_scenario_or_verb_that_no_file_has_is_named(seeds: Path) -> None:
    write_seeds(seeds, exercise("a", scenario="boda"), exercise("b", verb="ser"))
    second = line_of(seeds / "exercises/all.yaml", "- slug: b")
    assert faults(seeds) == [
        "seeds/exercises/all.yaml:1: scenario: there is no scenario 'boda' in the seeds",
        f"seeds/exercises/all.yaml:{second}: verb: there is no verb 'ser' in the seeds",
    ]


@pytest.mark.parametrize("document", ["", "hablar\n", "- hablar\n", "42\n"])
def test_a_file_that_holds_no_mapping_is_named(seeds: Path, document: str) -> None:
    (seeds / "verbs/ser.yaml").write_text(document, encoding="utf-8")
    assert faults(seeds) == ["seeds/verbs/ser.yaml: entry 1 is not a mapping of keys to values"]


def test_a_file_that_is_not_utf_8_is_named_with_the_byte(seeds: Path) -> None:
    path = seeds / "scenarios/cena.yaml"
    path.write_bytes(path.read_bytes().replace(b"Dinner", "Comid\xe1".encode("latin-1"), 1))
    at = path.read_bytes().index(b"\xe1")
    assert faults(seeds)[0] == f"seeds/scenarios/cena.yaml: not UTF-8 at byte {at}"


def test_a_file_that_cannot_be_read_is_named(seeds: Path) -> None:
    (seeds / "verbs/ser.yaml").mkdir()
    (fault,) = faults(seeds)
    assert fault.startswith("seeds/verbs/ser.yaml: cannot be read: ")


@pytest.mark.parametrize("nested", ["&again [*again]", "&again\n- *again", "&again\n  of: *again"])
def test_an_alias_that_holds_itself_is_a_fault_and_not_a_crash(seeds: Path, nested: str) -> None:
    replaced(seeds / "scenarios/cena.yaml", "cultural_notes: ''", f"cultural_notes: {nested}")
    (fault, *_rest) = faults(seeds)
    assert fault.startswith("seeds/scenarios/cena.yaml")


def test_the_faults_of_every_file_are_reported_together(seeds: Path) -> None:
    replaced(seeds / "scenarios/cena.yaml", "title: Dinner", "titel: Dinner")
    replaced(seeds / "achievements.yaml", "tier: bronze", "tier: wood")
    replaced(seeds / "configuration.yaml", "value: 20", "value: twenty")
    (seeds / "verbs/ser.yaml").write_text("{", encoding="utf-8")
    found = faults(seeds)
    files = [fault.split(":")[0].removeprefix("seeds/") for fault in found]
    assert sorted(set(files)) == [
        "achievements.yaml",
        "configuration.yaml",
        "exercises/all.yaml",
        "scenarios/cena.yaml",
        "verbs/ser.yaml",
    ]
    assert files.count("scenarios/cena.yaml") == 2  # the unknown key, and the title that is missing


# Two at once, and runs that end early.


def test_a_failure_half_way_leaves_nothing(database: Database, seeds: Path) -> None:
    def fail(done: int, _total: int) -> None:
        if done == 3:
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        seeded(database, seeds, progress=fail)
    assert not any(rows_of(database).values())
    assert not any(rows_of(database, *HISTORY_TABLES).values())


def test_two_seedings_at_once_add_each_item_once(database: Database, seeds: Path) -> None:
    barrier = threading.Barrier(2)

    def run(_number: int) -> dict[str, list[str]]:
        with database.session(write=True) as session:
            session.connection()
            barrier.wait()
            return outcomes(seed(session, read_seeds(seeds)))

    with ThreadPoolExecutor(2) as pool:
        both = sorted(pool.map(run, range(2)), key=str)
    assert both == [{"added": list(NAMES)}, {"unchanged": list(NAMES)}]
    with database.session() as session:
        assert session.scalar(select(func.count()).select_from(Operation)) == 1


@pytest.mark.faults
@pytest.mark.injects("seeding-killed")
def test_a_seeding_that_is_killed_leaves_nothing_and_the_next_one_is_whole(database: Database, seeds: Path) -> None:
    run_and_kill(
        f"""
        from pathlib import Path
        from subjunctive_admin.db import Database
        from subjunctive_admin.seeding import read_seeds, seed

        def halt(done, total):
            if done == 3:
                print("half way", flush=True)
                import time; time.sleep(60)

        database = Database({database.url.render_as_string(hide_password=False)!r})
        with database.session(write=True) as session:
            seed(session, read_seeds(Path({str(seeds)!r})), progress=halt)
        """
    )
    assert not any(rows_of(database).values())
    # The server notices at its next word to the dead client; until then it holds the lock.
    with database.connection() as connection:
        wait_until_alone(connection)
    assert outcomes(seeded(database, seeds)) == {"added": list(NAMES)}


def run_and_kill(code: str) -> None:
    """Run Python until it prints its first line, then end it as a power cut would."""
    command: Sequence[str] = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half way\n"
        process.kill()


def wait_until_alone(connection: Any) -> None:
    others = text(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    deadline = time.monotonic() + 10
    while connection.scalar(others):
        assert time.monotonic() < deadline
        time.sleep(0.05)
