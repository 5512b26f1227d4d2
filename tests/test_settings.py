"""Settings come from SUBJUNCTIVE_ variables; what is wrong with one is said in words."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import platformdirs
import pytest
from pydantic import SecretStr, ValidationError

from subjunctive_admin.errors import SettingsError
from subjunctive_admin.settings import PREFIX, Settings, default_home, load_settings


def test_a_clean_environment_gives_the_embedded_server(settings: Settings) -> None:
    assert settings.uses_embedded
    assert (settings.embedded_major, settings.pooler, settings.read_only) == (18, None, False)
    assert (settings.pool_size, settings.pool_overflow, settings.pool_timeout) == (5, 5, 10.0)
    assert (settings.lock_timeout, settings.statement_timeout, settings.connect_timeout) == (5.0, 60.0, 5)


def test_every_setting_says_what_it_is_for_in_a_sentence() -> None:
    unsaid = [name for name, field in Settings.model_fields.items() if not (field.description or "").endswith(".")]
    assert unsaid == []


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("EMBEDDED_MAJOR", "16", "embedded_major", 16),
        ("POOL_SIZE", "12", "pool_size", 12),
        ("POOLER", "transaction", "pooler", "transaction"),
        ("LOCK_TIMEOUT", "0.5", "lock_timeout", 0.5),
        ("READ_ONLY", "1", "read_only", True),
        ("READ_ONLY", "no", "read_only", False),
        ("HOME", "/srv/subjunctive", "home", Path("/srv/subjunctive")),
        ("DATABASE_URL", "", "database_url", None),
        ("DATABASE_URL", "postgresql://db/app", "database_url", SecretStr("postgresql://db/app")),
    ],
)
def test_a_variable_of_the_environment_sets_its_field(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, field: str, expected: object
) -> None:
    monkeypatch.setenv(PREFIX + variable, value)
    assert getattr(load_settings(), field) == expected


def test_what_the_program_says_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBJUNCTIVE_POOL_SIZE", "12")
    assert load_settings(pool_size=3).pool_size == 3


def test_variables_of_other_programs_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "POOL_SIZE", "HOME_SUBJUNCTIVE", "PGHOST"):
        monkeypatch.setenv(name, "elsewhere")
    assert load_settings().uses_embedded


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("EMBEDDED_MAJOR", "17", "SUBJUNCTIVE_EMBEDDED_MAJOR: Input should be 16 or 18"),
        ("EMBEDDED_MAJOR", "new", "SUBJUNCTIVE_EMBEDDED_MAJOR"),
        ("POOL_SIZE", "0", "SUBJUNCTIVE_POOL_SIZE: Input should be greater than or equal to 1"),
        ("POOL_SIZE", "many", "SUBJUNCTIVE_POOL_SIZE: Input should be a valid integer"),
        ("LOCK_TIMEOUT", "-1", "SUBJUNCTIVE_LOCK_TIMEOUT: Input should be greater than 0"),
        ("POOLER", "session", "SUBJUNCTIVE_POOLER: Input should be 'transaction'"),
        ("READ_ONLY", "perhaps", "SUBJUNCTIVE_READ_ONLY: Input should be a valid boolean"),
        ("CONNECTIONS_WARNING", "80", "SUBJUNCTIVE_CONNECTIONS_WARNING: Input should be less than or equal to 1"),
    ],
)
def test_an_unusable_value_is_named_with_what_is_accepted(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(PREFIX + variable, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert words in str(refused.value)
    assert refused.value.exit_code == 3


def test_every_unusable_value_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBJUNCTIVE_POOL_SIZE", "0")
    monkeypatch.setenv("SUBJUNCTIVE_POOLER", "none")
    with pytest.raises(SettingsError, match=r"SUBJUNCTIVE_POOL_SIZE.*SUBJUNCTIVE_POOLER"):
        load_settings()


def test_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SettingsError, match="SUBJUNCTIVE_POOL_SISE"):
        load_settings(pool_sise=3)


def test_settings_never_change_once_read(settings: Settings) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        settings.pool_size = 3  # type: ignore[misc]


def test_the_password_of_the_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBJUNCTIVE_DATABASE_URL", "postgresql://ana:s3cr3t@db/app")
    settings = load_settings()
    shown = [repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()]
    assert [text for text in shown if "s3cr3t" in text] == []


def test_home_is_absolute_and_knows_the_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings(home="data").home == tmp_path / "data"
    assert load_settings(home="~/data").home == tmp_path / "data"


def test_root_keeps_its_data_where_the_server_user_can_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_home() == Path("/var/lib/subjunctive-admin")


def test_a_user_keeps_their_data_where_the_platform_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_home() == Path(platformdirs.user_data_dir("subjunctive-admin")) == tmp_path / "subjunctive-admin"


def test_a_user_without_a_home_is_asked_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_uid: int) -> None:
        raise KeyError("uid not found")

    for name in ("SUBJUNCTIVE_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(SettingsError, match="No home folder could be found") as refused:
        load_settings(home="~/data")
    assert refused.value.next_step == "set SUBJUNCTIVE_HOME to a folder you own"
    with pytest.raises(SettingsError, match="No home folder could be found"):
        load_settings()
