"""The workspace of `subjunctive-admin lab`: copies follow the suite, and nothing that a person wrote is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from subjunctive_admin import lab
from subjunctive_admin.errors import SettingsError
from subjunctive_admin.lab import LOCK, MANIFEST, Change, Changed, notebook_digest, prepare_workspace
from subjunctive_admin.reports import list_notebooks, write_atomically
from subjunctive_admin.resources import resource_folder

A, B = "10_a.ipynb", "20_b.ipynb"


def cell(source: str, *tags: str, **more: Any) -> dict[str, Any]:
    """A code cell that was never run."""
    metadata = {"tags": list(tags)} if tags else {}
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": [], "execution_count": None} | more


def notebook(*cells: dict[str, Any] | str, **metadata: Any) -> str:
    whole = [one if isinstance(one, dict) else cell(one) for one in cells]
    return json.dumps({"cells": whole, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def run_in_jupyterlab(text: str) -> str:
    """What JupyterLab saves after Run All: outputs, counts, ids, the kernel, lists of lines, a cell at the end."""
    document = json.loads(text)
    for count, one in enumerate(document["cells"], 1):
        output = {"output_type": "stream", "name": "stdout", "text": ["ran\n"]}
        one |= {"id": f"cell-{count}", "execution_count": count, "outputs": [output]}
        one["source"] = one["source"].splitlines(keepends=True)
        one["metadata"] |= {"trusted": True, "execution": {"iopub.execute_input": "2026-01-01"}}
    document["cells"].append(cell("", id="appended"))
    document["metadata"] |= {"kernelspec": {"name": "python3"}, "language_info": {"version": "3.14"}, "widgets": {}}
    return json.dumps(document, indent=1)


class Suite:
    """A suite of small notebooks that is changed and released again, and a workspace of it."""

    def __init__(self, folder: Path) -> None:
        self.source, self.workspace = folder / "suite", folder / "workspace"
        self.source.mkdir()
        self.ships(A, "a = 1")
        self.ships(B, "b = 1")

    def ships(self, name: str, *cells: dict[str, Any] | str) -> None:
        (self.source / name).write_text(notebook(*cells))

    def start(self) -> list[Changed]:
        return prepare_workspace(self.workspace, self.source)

    def said(self) -> list[str]:
        return [str(changed) for changed in self.start()]

    def text(self, name: str = A) -> str:
        return (self.workspace / name).read_text()

    def write(self, text: str, name: str = A) -> None:
        (self.workspace / name).write_text(text)

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.workspace.iterdir() if path.name != LOCK)


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


@pytest.fixture
def begun(suite: Suite) -> Suite:
    """One whose workspace was prepared once."""
    suite.start()
    return suite


# Copies.


def test_a_new_workspace_is_private_and_has_every_notebook_of_the_suite(tmp_path: Path) -> None:
    changes = prepare_workspace(tmp_path / "new" / "notebooks")
    assert [changed.name for changed in changes] == [n.path.name for n in list_notebooks()]
    assert {changed.change for changed in changes} == {Change.ADDED}
    for original in list_notebooks():
        assert (tmp_path / "new" / "notebooks" / original.path.name).read_bytes() == original.path.read_bytes()
    if sys.platform != "win32":
        assert (tmp_path / "new" / "notebooks").stat().st_mode & 0o077 == 0


def test_a_second_start_says_and_changes_nothing(begun: Suite) -> None:
    before = {name: begun.text(name) for name in begun.names}
    assert begun.start() == []
    assert {name: begun.text(name) for name in begun.names} == before


def test_an_unedited_copy_follows_the_suite(begun: Suite) -> None:
    begun.ships(A, "a = 2")
    assert begun.said() == [f"{A} follows the suite's new version; it was not edited here."]
    assert begun.text() == notebook("a = 2")
    assert begun.start() == []


def test_a_notebook_that_was_only_run_keeps_its_outputs_until_the_suite_has_a_new_version(begun: Suite) -> None:
    ran = run_in_jupyterlab(begun.text())
    begun.write(ran)
    assert begun.start() == []
    assert begun.text() == ran
    begun.ships(A, "a = 2")
    assert [changed.change for changed in begun.start()] == [Change.UPDATED]
    assert begun.text() == notebook("a = 2")


def test_a_deleted_notebook_comes_back_and_it_is_said(begun: Suite) -> None:
    (begun.workspace / A).unlink()
    assert begun.said() == [f"{A} had been deleted and is back."]
    assert begun.text() == notebook("a = 1")


def test_files_of_the_reader_are_never_touched(begun: Suite) -> None:
    (begun.workspace / "mine").mkdir()
    mine = {"mine.ipynb": "no notebook at all", "mine/10_a.ipynb": "{}", "data.csv": "1", f"{A}.bak": "2"}
    for name, text in mine.items():
        begun.write(text, name)
    begun.ships(A, "a = 2")
    begun.start()
    assert {name: begun.text(name) for name in mine} == mine


def test_a_file_of_the_reader_that_has_the_name_of_a_new_notebook_is_kept(begun: Suite) -> None:
    begun.write(notebook("mine"), "30_c.ipynb")
    begun.ships("30_c.ipynb", "c = 1")
    assert [(changed.change, changed.offer) for changed in begun.start()] == [(Change.OFFERED, "30_c.new.ipynb")]
    assert begun.text("30_c.ipynb") == notebook("mine")


def test_the_originals_themselves_can_be_the_workspace(suite: Suite) -> None:
    assert prepare_workspace(suite.source, suite.source) == []
    assert sorted(path.name for path in suite.source.iterdir()) == [A, B]


# What an edit is.


@pytest.mark.parametrize(
    "edited",
    [
        notebook(cell("a = 2", "parameters"), "b"),
        notebook(cell("a = 1"), "b"),
        notebook("b", cell("a = 1", "parameters")),
        notebook(cell("a = 1", "parameters")),
        notebook(cell("a = 1", "parameters"), "b", "c"),
        notebook(cell("a = 1", "parameters"), cell("b", cell_type="markdown")),
        notebook(cell("a = 1", "parameters"), "b", subjunctive={"effect": "write"}),
    ],
    ids=["source", "tag", "order", "removed", "added", "kind", "declaration"],
)
def test_what_a_person_writes_is_an_edit(edited: str) -> None:
    assert notebook_digest(edited) != notebook_digest(notebook(cell("a = 1", "parameters"), "b"))


def test_running_and_other_line_ends_are_no_edit() -> None:
    written = notebook(cell("a = 1\nb = 2", "parameters"), "c")
    assert notebook_digest(run_in_jupyterlab(written)) == notebook_digest(written)
    assert notebook_digest(written.replace("\\n", "\\r\\n")) == notebook_digest(written)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"cells": 1, "metadata": {}}', '{"cells": [{}], "metadata": {}}']
)
def test_what_is_no_notebook_has_no_digest(text: str) -> None:
    with pytest.raises(ValueError):
        notebook_digest(text)


# Edited copies.


def test_an_edited_copy_is_kept_without_a_word_while_the_suite_has_nothing_new(begun: Suite) -> None:
    begun.write(notebook("a = 'mine'"))
    assert begun.start() == []
    assert begun.text() == notebook("a = 'mine'")


def test_beside_an_edited_copy_the_new_version_is_laid_once(begun: Suite) -> None:
    begun.write(notebook("a = 'mine'"))
    begun.ships(A, "a = 2")
    assert begun.said() == [f"{A} was edited here and is kept; the suite's new version is beside it: 10_a.new.ipynb."]
    assert (begun.text(), begun.text("10_a.new.ipynb")) == (notebook("a = 'mine'"), notebook("a = 2"))
    (begun.workspace / "10_a.new.ipynb").unlink()
    assert begun.start() == []
    assert "10_a.new.ipynb" not in begun.names


def test_the_next_version_takes_the_place_of_an_unedited_offer(begun: Suite) -> None:
    begun.write(notebook("a = 'mine'"))
    begun.ships(A, "a = 2")
    begun.start()
    begun.write(run_in_jupyterlab(begun.text("10_a.new.ipynb")), "10_a.new.ipynb")
    begun.ships(A, "a = 3")
    begun.start()
    assert begun.text("10_a.new.ipynb") == notebook("a = 3")
    assert begun.names == [MANIFEST, "10_a.ipynb", "10_a.new.ipynb", B]


def test_an_edited_offer_is_kept_and_the_next_one_has_another_name(begun: Suite) -> None:
    begun.write(notebook("a = 'mine'"))
    begun.ships(A, "a = 2")
    begun.start()
    begun.write(notebook("merged"), "10_a.new.ipynb")
    begun.ships(A, "a = 3")
    assert [changed.offer for changed in begun.start()] == ["10_a.new2.ipynb"]
    assert (begun.text("10_a.new.ipynb"), begun.text("10_a.new2.ipynb")) == (notebook("merged"), notebook("a = 3"))


@pytest.mark.parametrize("taken", ["renamed over the copy", "copy deleted", "copy taken back"])
def test_an_offer_goes_when_the_copy_is_the_suites_again(begun: Suite, taken: str) -> None:
    begun.write(notebook("a = 'mine'"))
    begun.ships(A, "a = 2")
    begun.start()
    copy = begun.workspace / A
    match taken:
        case "renamed over the copy":
            (begun.workspace / "10_a.new.ipynb").replace(copy)
        case "copy deleted":
            copy.unlink()
        case _:
            begun.write(notebook("a = 1"))
    begun.start()
    assert begun.names == [MANIFEST, A, B]
    assert begun.text() == notebook("a = 2")
    begun.ships(A, "a = 3")
    assert [changed.change for changed in begun.start()] == [Change.UPDATED]


@pytest.mark.parametrize("damage", ["", "half a note", "[]"])
def test_a_copy_that_is_no_notebook_any_more_is_kept(begun: Suite, damage: str) -> None:
    begun.write(damage)
    begun.ships(A, "a = 2")
    assert [changed.change for changed in begun.start()] == [Change.OFFERED]
    assert begun.text() == damage


def test_a_damaged_copy_is_kept_also_when_the_manifest_is_gone(begun: Suite) -> None:
    begun.write("half a note")
    (begun.workspace / MANIFEST).unlink()
    for _ in range(3):
        begun.start()
    (begun.source / A).unlink()
    begun.start()
    assert begun.text() == "half a note"


# Notebooks that the suite no longer has.


def test_a_retired_notebook_goes_when_unedited_and_stays_when_edited(begun: Suite) -> None:
    begun.write(run_in_jupyterlab(begun.text()))
    begun.write(notebook("b = 'mine'"), B)
    (begun.source / A).unlink()
    (begun.source / B).unlink()
    assert begun.said() == [
        f"{A} is no longer part of the suite and was not edited here, so it was removed.",
        f"{B} is no longer part of the suite; it was edited here and is yours now.",
    ]
    assert begun.names == [MANIFEST, B]
    assert begun.start() == []


def test_a_retired_notebook_that_is_already_gone_needs_no_word(begun: Suite) -> None:
    (begun.workspace / A).unlink()
    (begun.source / A).unlink()
    assert begun.start() == []


# The manifest.


@pytest.mark.parametrize("damage", [None, "", "{", "[]", '{"notebooks": 1}', '{"notebooks": {"10_a.ipynb": {"x": 1}}}'])
def test_without_a_readable_manifest_every_differing_copy_counts_as_edited(begun: Suite, damage: str | None) -> None:
    manifest = begun.workspace / MANIFEST
    manifest.unlink() if damage is None else manifest.write_text(damage)
    begun.ships(A, "a = 2")
    assert [(changed.name, changed.change) for changed in begun.start()] == [(A, Change.OFFERED)]
    assert begun.text() == notebook("a = 1")
    assert begun.start() == []
    # What is the suite's own is known again, and follows.
    begun.ships(B, "b = 2")
    assert [(changed.name, changed.change) for changed in begun.start()] == [(B, Change.UPDATED)]


class _Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("survived", range(4))
def test_a_start_that_is_killed_loses_nothing_and_the_next_one_ends_what_it_began(
    begun: Suite, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    begun.write(notebook("b = 'mine'"), B)
    begun.ships(A, "a = 2")
    begun.ships(B, "b = 2")
    begun.ships("30_c.ipynb", "c = 1")
    writes = write_atomically
    left = iter(range(survived))

    def killed(path: Path, content: str) -> None:
        if next(left, None) is None:
            (path.parent / f".{path.name}.1.partial").write_text(content[:9])
            raise _Killed
        writes(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(lab, "write_atomically", killed)
        with pytest.raises(_Killed):
            begun.start()
    begun.start()
    assert begun.names == [MANIFEST, A, B, "20_b.new.ipynb", "30_c.ipynb"]
    assert (begun.text(), begun.text(B)) == (notebook("a = 2"), notebook("b = 'mine'"))
    assert begun.text("20_b.new.ipynb") == notebook("b = 2")
    assert begun.start() == []


def test_of_several_starts_at_once_one_copies_and_all_find_the_notebooks(suite: Suite) -> None:
    with ThreadPoolExecutor(6) as pool:
        all_changes = list(pool.map(lambda _: suite.start(), range(6)))
    assert sorted(map(len, all_changes)) == [0, 0, 0, 0, 0, 2]
    assert suite.names == [MANIFEST, A, B]


# Folders that cannot be used.


def test_a_workspace_that_cannot_be_a_folder_is_refused_in_words(suite: Suite) -> None:
    suite.workspace.write_text("a file")
    with pytest.raises(SettingsError, match=r"The notebooks' folder .*/workspace cannot be used: File exists\."):
        suite.start()


def test_a_folder_in_the_place_of_a_notebook_is_left_alone(suite: Suite) -> None:
    (suite.workspace / A).mkdir(parents=True)
    assert [(changed.name, changed.change) for changed in suite.start()] == [(A, Change.OFFERED), (B, Change.ADDED)]
    assert suite.start() == []
    assert (suite.workspace / A).is_dir()


def test_a_start_that_never_ends_is_named_to_the_next(begun: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "_LOCK_SECONDS", 0.0)
    with FileLock(begun.workspace / LOCK), pytest.raises(SettingsError, match="Another subjunctive-admin lab"):
        begun.start()


# What only the command needs.


def test_the_module_loads_no_jupyterlab() -> None:
    found = "[m for m in ('jupyterlab', 'jupyter_server', 'tornado', 'nbformat') if m in sys.modules]"
    code = f"import sys, subjunctive_admin.lab; print({found})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_notebook_that_opens_first_is_in_the_suite() -> None:
    assert (resource_folder("notebooks") / lab.FIRST).is_file()
