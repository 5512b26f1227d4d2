"""Who uses the system: accounts by state, sign-ups, last activity, settings, and those that need attention.

Accounts appear by username; the page holds no e-mail address and no name of a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from subjunctive_admin.db import Database
from subjunctive_admin.errors import UsageError
from subjunctive_admin.look import (
    PALETTE,
    Chart,
    Column,
    Finding,
    Findings,
    Header,
    KeyFigures,
    Section,
    Table,
)
from subjunctive_admin.look.markup import NARROW, day, moment, number, per_cent
from subjunctive_admin.vocabulary import Status, overall

AT_RISK_AFTER, DORMANT_AFTER = 7, 30
"""Days without activity from which an account is at risk, and dormant."""
LISTED = 10
"""Accounts named for each reason; the others are counted."""
_SHOWN_ZONES = 10
_IDLE_BINS: tuple[tuple[str, int | None], ...] = (
    ("today", 0),
    ("1–6", 6),
    ("7–29", 29),
    ("30–89", 89),
    ("90+", None),
)


@dataclass(frozen=True, slots=True)
class States:
    """How many accounts there are of each kind; verified, premium and the rest are among the open ones."""

    accounts: int
    is_open: int
    verified: int
    premium: int
    administrators: int
    practised: int


@dataclass(frozen=True, slots=True)
class Attention:
    """Accounts to look at for one reason: how many, and the first of them with how many days or sessions."""

    reason: str
    accounts: int
    first: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Accounts:
    """The page's facts, read in one transaction at `taken_at`; every count but `states` is of open accounts.

    `idle` is days since the last answer or sign-in → accounts, by each account's own days; None for never.
    `sign_ups` is the Monday of a week in UTC → accounts created, closed ones included.
    """

    taken_at: datetime
    states: States
    sign_ups: Mapping[date, int]
    idle: Mapping[int | None, int]
    zones: Mapping[str, int]
    languages: Mapping[str, int]
    goals: Mapping[int, int]
    attention: Mapping[str, Attention]

    def idle_between(self, first: int, last: int | None) -> int:
        """Accounts whose last activity lies so many days back, both included."""
        within = (n for at, n in self.idle.items() if at is not None and at >= first and (last is None or at <= last))
        return sum(within)

    @property
    def at_risk(self) -> int:
        """Accounts without activity for 7 to 29 days."""
        return self.idle_between(AT_RISK_AFTER, DORMANT_AFTER - 1)

    @property
    def dormant(self) -> int:
        """Accounts without activity for 30 days or more."""
        return self.idle_between(DORMANT_AFTER, None)


# One row per account, with its last day of activity in its own zone.
_ACCOUNTS = """
    SELECT u.*, (CAST(:now AS timestamptz) AT TIME ZONE u.timezone)::date - greatest(
             a.last_day, (u.last_login AT TIME ZONE u.timezone)::date) AS idle, a.last_day IS NOT NULL AS has_practised
    FROM users u
    LEFT JOIN (SELECT user_id, max(practised_on) AS last_day FROM practice_attempts GROUP BY user_id) a
      ON a.user_id = u.id"""


def read_accounts(
    database: Database, *, weeks: int = 26, unverified_days: int = 30, idle_days: int = 14, now: datetime | None = None
) -> Accounts:
    """Read the page in one transaction of five statements, however many accounts there are.

    `weeks` of sign-ups are counted back from this week; an account needs attention when it is unverified
    for `unverified_days`, or has not practised `idle_days` after it was created. `now` is the server's clock
    unless given. Raises `UsageError` for limits below 1.
    """
    for name, value in (("weeks", weeks), ("unverified_days", unverified_days), ("idle_days", idle_days)):
        if value < 1:
            raise UsageError(f"{name} is {value}.", next_step=f"give {name}=1 or more")
    with database.connection() as connection:
        taken_at = now or connection.scalar(text("SELECT now()"))
        settings = _read_settings(connection, taken_at)
        return Accounts(
            taken_at=taken_at,
            states=_read_states(connection, taken_at),
            sign_ups=_read_sign_ups(connection, taken_at, weeks),
            idle={None if value is None else int(value): n for value, n in settings.get("idle", {}).items()},
            zones={str(zone): n for zone, n in settings.get("zone", {}).items()},
            languages={str(language): n for language, n in settings.get("language", {}).items()},
            goals={int(goal or 0): n for goal, n in settings.get("goal", {}).items()},
            attention=_read_attention(connection, taken_at, unverified_days, idle_days),
        )


def _read_states(connection: Connection, now: datetime) -> States:
    """One row: how many accounts of each kind."""
    row = connection.execute(
        text(f"""
            SELECT count(*), count(*) FILTER (WHERE is_active), count(*) FILTER (WHERE is_active AND is_verified),
                   count(*) FILTER (WHERE is_active AND is_premium), count(*) FILTER (WHERE is_active AND is_superuser),
                   count(*) FILTER (WHERE is_active AND has_practised)
            FROM ({_ACCOUNTS}) accounts"""),
        {"now": now},
    ).one()
    return States(*row)


def _read_sign_ups(connection: Connection, now: datetime, weeks: int) -> dict[date, int]:
    """One row per ISO week in UTC, up to the present one; a week without a sign-up is a zero."""
    rows = connection.execute(
        text("""
            WITH weeks AS (
              SELECT generate_series(date_trunc('week', CAST(:now AS timestamptz) AT TIME ZONE 'UTC')
                                       - make_interval(weeks => :weeks - 1),
                                     CAST(:now AS timestamptz) AT TIME ZONE 'UTC', '1 week') AS week)
            SELECT w.week::date, count(u.id)
            FROM weeks w LEFT JOIN users u ON date_trunc('week', u.created_at AT TIME ZONE 'UTC') = w.week
            GROUP BY w.week ORDER BY w.week"""),
        {"now": now, "weeks": weeks},
    )
    return {row[0]: row[1] for row in rows}


def _read_settings(connection: Connection, now: datetime) -> dict[str, dict[str | None, int]]:
    """One row per setting of open accounts and its value: zone, language, daily goal, days since activity."""
    rows = connection.execute(
        text(f"""
            SELECT what, value, count(*)
            FROM ({_ACCOUNTS}) accounts
            CROSS JOIN LATERAL (VALUES ('zone', timezone::text), ('language', language_preference::text),
                                       ('goal', daily_goal_minutes::text), ('idle', CASE WHEN idle < 0 THEN '0' ELSE idle::text END)) s (what, value)
            WHERE is_active GROUP BY what, value ORDER BY what, count(*) DESC, value"""),
        {"now": now},
    )
    found: dict[str, dict[str | None, int]] = {}
    for what, value, n in rows:
        found.setdefault(what, {})[value] = n
    return found


def _read_attention(
    connection: Connection, now: datetime, unverified_days: int, idle_days: int
) -> dict[str, Attention]:
    """One row per reason and named account, the longest waiting first."""
    rows = connection.execute(
        text(f"""
            WITH accounts AS MATERIALIZED ({_ACCOUNTS}),
            reasons AS (
              SELECT 'closed-in-session' AS reason, a.username, count(*)::int AS value
              FROM accounts a JOIN study_sessions s ON s.user_id = a.id AND s.completed_at IS NULL
              WHERE NOT a.is_active GROUP BY a.username
              UNION ALL
              SELECT 'unverified', username, date_part('day', CAST(:now AS timestamptz) - created_at)::int
              FROM accounts
              WHERE is_active AND NOT is_verified AND created_at < CAST(:now AS timestamptz) - make_interval(days => :unverified)
              UNION ALL
              SELECT 'never-practised', username, date_part('day', CAST(:now AS timestamptz) - created_at)::int
              FROM accounts
              WHERE is_active AND NOT is_superuser AND NOT has_practised
                AND created_at < CAST(:now AS timestamptz) - make_interval(days => :idle))
            SELECT reason, accounts, username, value
            FROM (SELECT *, count(*) OVER (PARTITION BY reason) AS accounts,
                         row_number() OVER (PARTITION BY reason ORDER BY value DESC, lower(username)) AS place
                  FROM reasons) r
            WHERE place <= :listed ORDER BY reason, place"""),
        {"now": now, "unverified": unverified_days, "idle": idle_days, "listed": LISTED},
    )
    found: dict[str, Attention] = {}
    for reason, accounts, username, value in rows:
        before = found[reason].first if reason in found else ()
        found[reason] = Attention(reason, accounts, (*before, (username, value)))
    return found


def users_headline(found: Accounts) -> str:
    """How many use the system, as a sentence."""
    states = found.states
    if not states.accounts:
        return "There are no accounts yet"
    if not states.practised:
        return f"{_accounts(states.is_open)} {_is(states.is_open)} open, and none has practised yet"
    recent = found.idle_between(0, AT_RISK_AFTER - 1)
    return f"{number(recent)} of {_accounts(states.is_open)} {'was' if recent == 1 else 'were'} active in the last week"


def users_findings(found: Accounts) -> list[Finding]:
    """What needs somebody: one finding a reason, naming the account that waits longest."""
    if not found.states.accounts:
        return [
            Finding(
                Status.INFO,
                "There are no accounts yet.",
                next_step="`subjunctive-admin user create` adds one",
                id="accounts-none",
            )
        ]
    said = {
        "closed-in-session": (
            Status.WARNING,
            "{accounts} closed, with a session that never ended.",
            "`subjunctive-admin user show {name}`",
        ),
        "unverified": (
            Status.INFO,
            "{accounts} unverified for long.",
            "`subjunctive-admin user deactivate {name}`, if nobody is behind it",
        ),
        "never-practised": (
            Status.INFO,
            "{accounts} open, and never used to practise.",
            "`subjunctive-admin user show {name}`",
        ),
    }
    findings = []
    for reason, (status, title, step) in said.items():
        if (attention := found.attention.get(reason)) is not None:
            subject = f"{_accounts(attention.accounts)} {_is(attention.accounts)}"
            name = attention.first[0][0]
            detail = _names(attention)
            findings.append(
                Finding(status, title.format(accounts=subject), detail, step.format(name=name), id=f"accounts-{reason}")
            )
    return findings


def users_status(found: Accounts) -> Status:
    """The worst finding; info where there is no account to speak of."""
    worst = overall([finding.status for finding in users_findings(found)])
    return Status.INFO if worst is Status.OK and not found.states.accounts else worst


def users_detail(found: Accounts) -> str:
    """One line for the index of reports."""
    return f"{number(found.at_risk)} at risk, {number(found.dormant)} dormant, {number(found.idle.get(None, 0))} never active"


def users_view(found: Accounts) -> list[Any]:
    """The fragments of the page, in reading order."""
    findings = users_findings(found)
    shown: list[Any] = [_header(found)]
    if not found.states.accounts:
        return [*shown, Findings("What is missing here", "", findings)]
    shown.append(_figures(found))
    if findings:
        lead = "Longest waiting first. Accounts are never deleted here: closing one keeps what it recorded."
        shown.append(Findings("Accounts that need attention", lead, findings))
    shown.append(Section("Who comes, and who stays away", "Activity is an answer or a sign-in."))
    shown += [_sign_up_chart(found), _idle_chart(found)]
    shown.append(Section("What they have set", "Open accounts only."))
    shown += [_bars(found.zones, "zone"), _goal_chart(found), _language_table(found)]
    return shown


def _header(found: Accounts) -> Header:
    states = found.states
    summary = ""
    if states.accounts:
        summary = (
            f"{number(found.at_risk)} at risk, without activity for {AT_RISK_AFTER} to {DORMANT_AFTER - 1} days; "
            f"{number(found.dormant)} dormant, for {DORMANT_AFTER} days or more; "
            f"{number(found.idle.get(None, 0))} never active."
        )
    return Header(users_headline(found), summary, [("Read", moment(found.taken_at))], "Users")


def _figures(found: Accounts) -> KeyFigures:
    states = found.states
    closed = states.accounts - states.is_open
    return KeyFigures(
        [
            ("Open accounts", states.is_open, f"of {number(states.accounts)}, {number(closed)} closed"),
            ("Have practised", states.practised, _part(states.practised, states.is_open)),
            ("Verified", states.verified, _part(states.verified, states.is_open)),
            ("Premium", states.premium, _part(states.premium, states.is_open)),
            ("Administrators", states.administrators, "open accounts with every right"),
        ]
    )


def _part(count: int, whole: int) -> str:
    return f"{per_cent(count / whole)} of open accounts" if whole else "no account is open"


def _sign_up_chart(found: Accounts) -> Chart:
    import plotly.graph_objects as go  # noqa: PLC0415 - half a second that only a chart needs

    weeks, counts = list(found.sign_ups), list(found.sign_ups.values())
    figure = go.Figure(
        go.Bar(
            x=[week.isoformat() for week in weeks],
            y=counts,
            marker={"color": [*[PALETTE["edge"]] * (len(weeks) - 1), PALETTE["c1"]]},
            hovertemplate="week of %{x|%-d %b %Y}: %{y} accounts<extra></extra>",
        )
    )
    figure.update_yaxes(title="accounts", rangemode="tozero", nticks=5)
    figure.update_xaxes(nticks=6)
    figure.update_layout(height=270)
    return Chart(
        figure,
        title=f"{number(sum(counts))} accounts were created in {len(weeks)} weeks, {number(counts[-1]) if counts[-1] else 'none'} of them this week",
        subtitle=f"Accounts by week of creation, Monday to Sunday in UTC, {day(weeks[0])} to "
        f"{day(weeks[-1] + timedelta(days=6))}.",
        note=f"n = {_accounts(sum(counts))}, closed ones included. The last week is not over.",
        frame=Table(["Week of", Column("Accounts")], list(found.sign_ups.items())),
        half=True,
    )


def _idle_chart(found: Accounts) -> Chart:
    first, counts = 0, {}
    for name, last in _IDLE_BINS:
        counts[name] = found.idle_between(first, last)
        first = (last or 0) + 1
    counts["never"] = found.idle.get(None, 0)
    figure = _counted_bars(counts, strong={"7–29"}, noun="accounts")
    figure.update_xaxes(title="days since the last activity", tickangle=0)
    return Chart(
        figure,
        title=f"{_accounts(found.at_risk)} {_is(found.at_risk)} at risk, {number(found.dormant)} dormant",
        subtitle="Open accounts by days since the last answer or sign-in, each by its own days.",
        note=f"n = {_accounts(sum(counts.values()))}. At risk: {AT_RISK_AFTER} to {DORMANT_AFTER - 1} days, marked; "
        f"dormant: {DORMANT_AFTER} or more.",
        frame=Table(["Days since", Column("Accounts")], list(counts.items())),
        half=True,
    )


def _goal_chart(found: Accounts) -> Chart:
    goals = dict(sorted(found.goals.items()))
    usual = max(goals, key=lambda minutes: goals[minutes], default=0)
    figure = _counted_bars({str(minutes): n for minutes, n in goals.items()}, strong={str(usual)}, noun="accounts")
    figure.update_xaxes(title="daily goal, minutes")
    return Chart(
        figure,
        title=f"The most frequent daily goal is {usual}{NARROW}min: {number(goals.get(usual, 0))} of "
        f"{_accounts(sum(goals.values()))}",
        subtitle="Open accounts by the daily goal they have set.",
        note=f"n = {_accounts(sum(goals.values()))}.",
        frame=Table(["Goal, min", Column("Accounts")], list(goals.items())),
        half=True,
    )


def _counted_bars(counts: Mapping[str, int], *, strong: set[str], noun: str) -> Any:
    """Vertical bars with their numbers on top; those named are marked."""
    import plotly.graph_objects as go  # noqa: PLC0415

    figure = go.Figure(
        go.Bar(
            x=list(counts),
            y=list(counts.values()),
            text=[number(count) for count in counts.values()],
            textposition="outside",
            constraintext="none",
            marker={"color": [PALETTE["c1" if name in strong else "edge"] for name in counts]},
            hovertemplate=f"%{{x}}: %{{y}} {noun}<extra></extra>",
        )
    )
    # Categories such as 7–29 must not be read as numbers or dates.
    figure.update_xaxes(type="category")
    figure.update_yaxes(title=noun, rangemode="tozero", nticks=5)
    return figure.update_layout(height=270, margin={"t": 24})


def _bars(counts: Mapping[str, int], noun: str) -> Chart:
    """Horizontal bars of the most frequent values, the rest as one."""
    import plotly.graph_objects as go  # noqa: PLC0415

    shown = dict(list(counts.items())[:_SHOWN_ZONES])
    rest = sum(counts.values()) - sum(shown.values())
    if rest:
        shown[f"{len(counts) - _SHOWN_ZONES} others"] = rest
    first = next(iter(shown))
    figure = go.Figure(
        go.Bar(
            x=list(shown.values()),
            y=list(shown),
            orientation="h",
            text=[number(count) for count in shown.values()],
            textposition="outside",
            constraintext="none",
            marker={"color": [PALETTE["c1" if name == first else "edge"] for name in shown]},
            hovertemplate="%{y}: %{x} accounts<extra></extra>",
        )
    )
    figure.update_xaxes(title="accounts", rangemode="tozero", nticks=5)
    figure.update_layout(height=max(84 + 30 * len(shown), 270), margin={"r": 40})
    return Chart(
        figure,
        title=f"The most frequent {noun} is {first}: {number(shown[first])} of {_accounts(sum(counts.values()))}",
        subtitle=f"Open accounts by time {noun}, the most frequent first.",
        note=f"n = {_accounts(sum(counts.values()))} in {len(counts)} {noun}{'' if len(counts) == 1 else 's'}. "
        "A learner's days follow the zone that was set when they practised.",
        frame=Table([noun.capitalize(), Column("Accounts")], list(counts.items())),
        half=True,
    )


def _language_table(found: Accounts) -> Table:
    whole = sum(found.languages.values())
    rows: Sequence[Sequence[object]] = [
        [language, n, 100 * n / whole] for language, n in list(found.languages.items())[:_SHOWN_ZONES]
    ]
    columns: list[Column | str] = [Column("Language", code=True), Column("Accounts"), Column("Share %", decimals=1)]
    return Table(columns, rows, f"n = {_accounts(whole)}, by the language they read the application in.")


def _names(attention: Attention) -> str:
    unit = "open session" if attention.reason == "closed-in-session" else "day"
    shown = ", ".join(f"`{name}` ({number(n)} {unit}{'' if n == 1 else 's'})" for name, n in attention.first)
    rest = attention.accounts - len(attention.first)
    return f"{shown}, and {number(rest)} more." if rest else f"{shown}."


def _accounts(count: int) -> str:
    return f"{number(count)} account{'' if count == 1 else 's'}"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
