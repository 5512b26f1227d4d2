"""The example of a backend works on a real database, and answers in JSON when there is none."""

from __future__ import annotations

import runpy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from subjunctive_admin.db import Database
from tests.builders import make_exercise, make_scenario, make_user, make_verb

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "asgi_backend.py"
Send = Callable[[dict[str, Any]], Any]


@asynccontextmanager
async def client_of(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    backend = runpy.run_path(str(EXAMPLE))["Backend"](database)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(backend), base_url="http://app") as client:
        yield client
    await database.dispose_async()


def fill(database: Database) -> None:
    with database.session(write=True) as session:
        dinner = make_scenario(session, slug="family-dinner", title="La cena", position=1)
        make_scenario(session, slug="at-work", title="El trabajo", position=0, cefr_level="A2")
        make_scenario(session, slug="withdrawn", status="retired")
        verb = make_verb(session, infinitive="querer", conjugation_class="er")
        for number, status in ((2, "published"), (1, "published"), (3, "retired")):
            make_exercise(
                session, scenario_id=dinner.id, verb_id=verb.id, slug=f"dinner-{number}", position=number, status=status,
                prompt=f"Ojalá ___ {number}.", correct_answer="quiera", accepted_answers=["quiera"],
            )  # fmt: skip


async def test_it_is_ready_once_the_schema_is_current(database: Database) -> None:
    async with client_of(database) as client:
        answer = await client.get("/ready")
    assert (answer.status_code, answer.json()) == (200, {"ready": True})
    assert answer.headers["content-type"] == "application/json"


async def test_it_is_not_ready_before_the_database_is_set_up(
    empty_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_of(empty_database) as client:
        answer = await client.get("/ready")
    assert (answer.status_code, answer.json()["retry"], answer.headers["retry-after"]) == (503, True, "5")
    assert "The database was never set up. Next: subjunctive-admin setup" in caplog.text


async def test_it_lists_the_published_scenarios_in_order(database: Database) -> None:
    fill(database)
    async with client_of(database) as client:
        answer = await client.get("/scenarios")
    assert answer.json() == [
        {"slug": "at-work", "title": "El trabajo", "level": "A2"},
        {"slug": "family-dinner", "title": "La cena", "level": "B1"},
    ]


async def test_it_gives_the_exercises_of_a_scenario_with_their_verbs(database: Database) -> None:
    fill(database)
    async with client_of(database) as client:
        answer = await client.get("/scenarios/family-dinner/exercises")
    assert answer.json() == [
        {"slug": f"dinner-{n}", "prompt": f"Ojalá ___ {n}.", "verb": "querer", "tense": "present_subjunctive"}
        for n in (1, 2)
    ]


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("GET", "/scenarios/nowhere/exercises", "There is no scenario nowhere."),
        ("GET", "/scenarios/withdrawn/exercises", "There is no scenario withdrawn."),
        ("GET", "/", "There is nothing at this address."),
        ("POST", "/scenarios", "There is nothing at this address."),
    ],
)
async def test_what_does_not_exist_is_a_404_in_json(database: Database, method: str, path: str, words: str) -> None:
    fill(database)
    async with client_of(database) as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.json()) == (404, {"error": words})


async def test_a_learner_practises_through_it(database: Database) -> None:
    fill(database)
    with database.session(write=True) as session:
        learner = make_user(session).id
    async with client_of(database) as client:
        due = (await client.get(f"/learners/{learner}/due")).json()
        assert [(one["prompt"], one["new"]) for one in due] == [("Ojalá ___ 1.", True)]
        sitting = (await client.post(f"/learners/{learner}/sessions")).json()["id"]
        answer = {"id": str(uuid4()), "exercise_id": due[0]["exercise_id"], "text": "quiero", "response_time_ms": 900}
        first, again = [
            (await client.post(f"/learners/{learner}/sessions/{sitting}/answers", json=answer)).json() for _ in range(2)
        ]
        assert (first["verdict"], first["correct"], first["expected"]) == ("wrong", False, "quiera")
        assert again == first
        closed = await client.post(f"/learners/{learner}/sessions/{sitting}/close")
        assert (closed.status_code, closed.json()) == (200, {"right": 0, "answered": 1, "unlocked": []})
        late = await client.post(f"/learners/{learner}/sessions/{sitting}/answers", json=answer | {"id": str(uuid4())})
        assert (late.status_code, "was closed at" in late.json()["error"]) == (409, True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "The request is no JSON."),
        (b"[" * 9000, "The request is no JSON."),
        (b"[1]", "The request is no JSON object."),
        (b"x" * 20_000, "The request is longer than 10,000 bytes."),
        (b"{}", "text is missing or of the wrong type."),
        (b'{"text": "a", "response_time_ms": "soon"}', "response_time_ms is missing or of the wrong type."),
        (b'{"text": "a", "response_time_ms": 1, "exercise_id": 7}', "'7' is no id."),
        (b'{"text": "a", "response_time_ms": 1, "hints_used": true}', "hints_used and confidence are whole numbers."),
        (
            b'{"text": "a\\u0000", "response_time_ms": 1, "exercise_id": "00000000-0000-0000-0000-000000000000"}',
            "The answer was not recorded:\n  it holds a control character",
        ),
    ],
    ids=range(9),
)
async def test_a_request_that_makes_no_sense_is_a_400_in_words(database: Database, body: bytes, words: str) -> None:
    with database.session(write=True) as session:
        learner = make_user(session).id
    async with client_of(database) as client:
        sitting = (await client.post(f"/learners/{learner}/sessions")).json()["id"]
        answer = await client.post(f"/learners/{learner}/sessions/{sitting}/answers", content=body)
    assert (answer.status_code, answer.json()) == (400, {"error": words})


async def test_while_another_session_holds_the_learner_it_asks_to_retry(database: Database) -> None:
    impatient = Database(database.url, database.settings.model_copy(update={"lock_timeout": 0.1}))
    with database.session(write=True) as session:
        learner = make_user(session).id
    async with client_of(impatient) as client:
        with database.connection(write=True) as holder:
            holder.execute(text("SELECT FROM users FOR UPDATE"))
            answer = await client.post(f"/learners/{learner}/sessions")
    assert (answer.status_code, answer.json()["retry"], answer.headers["retry-after"]) == (503, True, "5")


async def test_without_a_server_it_answers_503_and_shows_no_address(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_of(Database(f"postgresql://ana:s3cr3t@/app?host={tmp_path}&port=5432")) as client:
        answer = await client.get("/scenarios")
    assert (answer.status_code, answer.json()) == (503, {"error": "The database is not available.", "retry": True})
    said = caplog.text
    assert f"No usable server at {tmp_path}" in said
    assert "s3cr3t" not in said


async def test_the_pool_is_published_while_the_server_runs_and_closes_with_it(database: Database) -> None:
    backend = runpy.run_path(str(EXAMPLE))["Backend"](database)
    coming = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[str] = []

    publishers = []

    async def receive() -> dict[str, Any]:
        return {"type": next(coming)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"])
        publishers.append(database.publisher)

    async with database.async_session():
        assert database.async_pool_reading().checked_out == 1
    await backend({"type": "lifespan"}, receive, send)

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert database.async_pool_reading().idle == 0
    started, ended = publishers
    assert (started is not None, ended) == (True, None)


async def test_the_entry_point_opens_the_database_that_the_settings_name(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUBJUNCTIVE_DATABASE_URL", database.url.render_as_string(False))
    application = runpy.run_path(str(EXAMPLE))["application"]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://app") as client:
        assert (await client.get("/ready")).json() == {"ready": True}
    await application.__globals__["backend"]().database.dispose_async()
