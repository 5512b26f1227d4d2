"""Who uses the system: counts over hand-made accounts, reasons for attention, and no address on the page."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from subjunctive_admin import users_view as view
from subjunctive_admin.db import Database
from subjunctive_admin.errors import UsageError
from subjunctive_admin.look import Chart, Findings, Header, KeyFigures
from subjunctive_admin.reports import find_notebook, run_report
from subjunctive_admin.settings import load_settings
from subjunctive_admin.users_view import Attention, States, read_accounts
from subjunctive_admin.vocabulary import Status
from tests.analytics.practice import School
from tests.builders import make_attempt, make_session
from tests.statements import statements

NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)
"""A Wednesday."""


@pytest.fixture
def accounts(database: Database) -> Any:
    """Enter accounts into the test's own database: name, days since it was created, columns."""

    def enter(*rows: tuple[str, float, dict[str, Any]]) -> None:
        with database.session(write=True) as session:
            for name, age, given in rows:
                columns = dict(given)
                practised = columns.pop("practised", None)
                sitting = columns.pop("sitting", False)
                columns = {"created_at": NOW - timedelta(days=age), "is_verified": True, **columns}
                user = School(session).learner(name, **columns)
                if practised is not None:
                    at = NOW - timedelta(days=practised)
                    given_session = make_session(session, user_id=user.id, started_at=at, completed_at=at)
                    make_attempt(
                        session, user_id=user.id, session_id=given_session.id, attempted_at=at, practised_on=at.date()
                    )
                if sitting:
                    make_session(session, user_id=user.id, started_at=NOW)

    return enter


def test_accounts_are_counted_by_state(database: Database, accounts: Any) -> None:
    accounts(
        ("ana", 5, {"practised": 1, "is_premium": True}),
        ("bob", 5, {"is_verified": False}),
        ("root", 5, {"is_superuser": True}),
        ("gone", 5, {"is_active": False, "practised": 1, "is_premium": True}),
    )
    assert read_accounts(database, now=NOW).states == States(
        accounts=4, is_open=3, verified=2, premium=1, administrators=1, practised=1
    )


def test_sign_ups_are_counted_by_week_with_zeros_between(database: Database, accounts: Any) -> None:
    accounts(("ana", 0, {}), ("bob", 2.4, {}), ("eva", 2.6, {}), ("old", 60, {}), ("gone", 17, {"is_active": False}))
    assert read_accounts(database, weeks=4, now=NOW).sign_ups == {
        date(2026, 2, 23): 1,
        date(2026, 3, 2): 0,
        date(2026, 3, 9): 1,  # Sunday, 21:36 in UTC
        date(2026, 3, 16): 2,
    }


def test_activity_is_the_later_of_an_answer_and_a_sign_in(database: Database, accounts: Any) -> None:
    accounts(
        ("ana", 90, {"practised": 40, "last_login": NOW - timedelta(days=8)}),
        ("bob", 90, {"practised": 0, "last_login": NOW - timedelta(days=8)}),
        ("eva", 90, {"practised": 31}),
        ("new", 1, {}),
    )
    found = read_accounts(database, now=NOW)
    assert found.idle == {0: 1, 8: 1, 31: 1, None: 1}
    assert (found.at_risk, found.dormant, found.idle_between(0, 6)) == (1, 1, 1)


def test_days_without_activity_are_days_of_the_accounts_own_zone(database: Database, accounts: Any) -> None:
    late = datetime(2026, 3, 17, 23, 30, tzinfo=UTC)
    for name, zone in (("ana", "Europe/Madrid"), ("bob", "America/New_York")):
        accounts((name, 9, {"timezone": zone, "last_login": late}))
    # At 00:30 in UTC on Wednesday it is Wednesday in Madrid, where the sign-in was too, and Tuesday in New York.
    found = read_accounts(database, now=datetime(2026, 3, 18, 0, 30, tzinfo=UTC))
    assert found.idle == {0: 2}
    assert read_accounts(database, now=datetime(2026, 3, 18, 23, 30, tzinfo=UTC)).idle == {1: 2}


def test_settings_are_those_of_open_accounts(database: Database, accounts: Any) -> None:
    accounts(
        ("ana", 9, {"timezone": "Europe/Madrid", "daily_goal_minutes": 10}),
        ("bob", 9, {"timezone": "Europe/Madrid", "language_preference": "de"}),
        ("eva", 9, {}),
        ("gone", 9, {"is_active": False, "timezone": "Asia/Tokyo"}),
    )
    found = read_accounts(database, now=NOW)
    assert list(found.zones.items()) == [("Europe/Madrid", 2), ("UTC", 1)]
    assert found.languages == {"en": 2, "de": 1}
    assert found.goals == {10: 1, 30: 2}


def test_each_reason_names_the_accounts_that_wait_longest(database: Database, accounts: Any) -> None:
    accounts(
        ("never", 15, {}),
        ("neverlong", 20, {}),
        ("fresh", 13, {}),
        ("root", 99, {"is_superuser": True}),
        ("unproven", 31, {"is_verified": False, "practised": 1}),
        ("young", 29, {"is_verified": False, "practised": 1}),
        ("closed", 50, {"is_active": False, "is_verified": False, "sitting": True}),
        ("tidy", 50, {"is_active": False}),
    )
    assert read_accounts(database, now=NOW).attention == {
        "closed-in-session": Attention("closed-in-session", 1, (("closed", 1),)),
        "never-practised": Attention("never-practised", 2, (("neverlong", 20), ("never", 15))),
        "unverified": Attention("unverified", 1, (("unproven", 31),)),
    }


def test_a_long_list_is_cut_and_counted(database: Database, accounts: Any) -> None:
    accounts(*[(f"pupil{at:02d}", 20 + at, {}) for at in range(view.LISTED + 2)])
    found = read_accounts(database, now=NOW)
    assert len(found.attention["never-practised"].first) == view.LISTED
    (finding,) = view.users_findings(found)
    assert finding.title == "12 accounts are open, and never used to practise."
    assert finding.detail.startswith("`pupil11` (31 days), ")
    assert finding.detail.endswith(", and 2 more.")


def test_findings_name_the_exact_command(database: Database, accounts: Any) -> None:
    accounts(
        ("closed", 50, {"is_active": False, "sitting": True}),
        ("unproven", 31, {"is_verified": False, "practised": 1}),
        ("never", 15, {}),
    )
    found = read_accounts(database, now=NOW)
    assert [(one.status, one.title, one.next_step) for one in view.users_findings(found)] == [
        (
            Status.WARNING,
            "1 account is closed, with a session that never ended.",
            "`subjunctive-admin user show closed`",
        ),
        (
            Status.INFO,
            "1 account is unverified for long.",
            "`subjunctive-admin user deactivate unproven`, if nobody is behind it",
        ),
        (Status.INFO, "1 account is open, and never used to practise.", "`subjunctive-admin user show never`"),
    ]
    assert view.users_status(found) is Status.WARNING


def test_the_headline_counts_who_was_active_in_the_last_week(database: Database, accounts: Any) -> None:
    accounts(("ana", 9, {"practised": 6}), ("bob", 9, {"practised": 7}), ("eva", 9, {}))
    found = read_accounts(database, now=NOW)
    assert view.users_headline(found) == "1 of 3 accounts was active in the last week"
    assert view.users_detail(found) == "1 at risk, 0 dormant, 1 never active"
    assert view.users_status(found) is Status.OK


def test_accounts_that_never_practised_are_told_from_no_accounts(database: Database, accounts: Any) -> None:
    empty = read_accounts(database, now=NOW)
    assert view.users_headline(empty) == "There are no accounts yet"
    assert view.users_status(empty) is Status.INFO
    assert [type(one) for one in view.users_view(empty)] == [Header, Findings]
    accounts(("ana", 1, {}))
    assert view.users_headline(read_accounts(database, now=NOW)) == "1 account is open, and none has practised yet"


def test_the_page_shows_figures_charts_and_no_address(database: Database, accounts: Any) -> None:
    accounts(
        ("ana", 9, {"practised": 2, "last_name": "Secret"}), *[(f"zone{at}", 1, {"timezone": z}) for at, z in ZONES]
    )
    page = view.users_view(read_accounts(database, now=NOW))
    charts = [one for one in page if isinstance(one, Chart)]

    assert [one.title.replace("\u202f", " ") for one in charts] == [
        "13 accounts were created in 26 weeks, 12 of them this week",
        "0 accounts are at risk, 0 dormant",
        "The most frequent zone is Europe/Madrid: 2 of 13 accounts",
        "The most frequent daily goal is 30 min: 13 of 13 accounts",
    ]
    assert list(charts[2].figure.data[0].y)[-1] == "2 others"
    assert len(next(one for one in page if isinstance(one, KeyFigures)).figures) == 5
    assert "example.org" not in "".join(getattr(one, "html", str)() for one in page)
    assert "Secret" not in "".join(getattr(one, "html", str)() for one in page)


ZONES = list(
    enumerate(
        [
            "Europe/Madrid", "Europe/Madrid", "Europe/Berlin", "Europe/Paris", "Europe/Rome", "Asia/Tokyo",
            "Asia/Seoul", "America/Lima", "America/Bogota", "America/New_York", "America/Chicago", "Europe/Lisbon",
        ]
    )
)  # fmt: skip


@pytest.mark.parametrize("name", ["weeks", "unverified_days", "idle_days"])
def test_a_limit_below_one_is_refused(database: Database, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is 0"):
        read_accounts(database, **{name: 0})  # type: ignore[arg-type]


def test_more_accounts_take_no_more_statements(database: Database, accounts: Any) -> None:
    numbers = []
    for batch in range(2):
        accounts(*[(f"pupil{batch}{at}", 40, {"practised": at}) for at in range(4)])
        with statements(database.engine) as seen:
            read_accounts(database)
        numbers.append(len(seen))
    assert numbers == [5, 5]


def test_the_notebook_reports_who_uses_the_system(database: Database, accounts: Any, tmp_path: Path) -> None:
    since = (datetime.now(UTC) - NOW) / timedelta(days=1)  # accounts are entered relative to NOW
    accounts(("ana", 3 - since, {"practised": 2 - since}), ("bob", 40 - since, {}))
    url = database.url.render_as_string(hide_password=False)
    run = run_report(find_notebook("17_users"), {}, out=tmp_path, settings=load_settings(database_url=url))
    assert (run.status, run.error) == (Status.OK, None)
    assert run.headline == "1 of 2 accounts was active in the last week"
    assert [one["id"] for one in run.findings] == ["accounts-never-practised"]
    assert "example.org" not in (tmp_path / "17_users" / "17_users.html").read_text()
