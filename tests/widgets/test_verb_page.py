"""The curation notebook without a browser."""

from __future__ import annotations

from subjunctive_admin.db import Database
from subjunctive_admin.vocabulary import Status
from subjunctive_admin.widgets.verb_page import read_page
from tests.widgets.verbs import edit_elsewhere, publish, verb


def test_it_shows_the_search_the_paradigm_and_the_history(database: Database) -> None:
    publish(database, verb(), verb("cantar", english_translation="to sing"))
    edit_elsewhere(database, "hablar", english_translation="to talk")
    page = read_page(database, query="cant", infinitive="hablar")
    shown = "\n".join(map(repr, page.view()))
    assert (page.status, page.headline) == (Status.OK, "hablar is published as revision 2")
    assert [line.infinitive for line in page.found] == ["cantar"]
    assert "\nSubjunctive\nPresent " in shown
    assert "\nPluperfect " in shown
    assert "Translation: to speak → to talk" in shown


def test_an_empty_database_is_said_to_be_empty(database: Database) -> None:
    page = read_page(database, infinitive="hablar")
    assert (page.status, page.headline) == (Status.WARNING, "The database holds no verbs yet")


def test_a_verb_that_is_not_there_is_named(database: Database) -> None:
    publish(database, verb())
    page = read_page(database, query="zzz", infinitive="hablr")
    assert (page.status, page.headline) == (Status.WARNING, "There is no verb “hablr”")
    assert page.detail == "0 verbs found"
