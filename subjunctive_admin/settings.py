"""Settings: one frozen class with the prefix SUBJUNCTIVE_; nobody else reads the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from subjunctive_admin.errors import SettingsError

PREFIX = "SUBJUNCTIVE_"


def default_home() -> Path:
    """The data folder: the platform's for a user, one below /var/lib for root, whose own home no server user reaches."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/subjunctive-admin")
    return Path(platformdirs.user_data_dir("subjunctive-admin", appauthor=False))


class Settings(BaseSettings):
    """Everything that can be set from outside, immutable once read.

    Raises `SettingsError` through `load_settings`, never a validation traceback.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    database_url: SecretStr | None = Field(None, description="PostgreSQL 15 to 18 to work on; unset: the embedded one.")
    home: Path = Field(default_factory=default_home, description="Data folder of the embedded server.")
    embedded_major: Literal[16, 18] = Field(18, description="PostgreSQL version of the embedded server.")
    pool_size: int = Field(5, ge=1, le=500, description="Connections kept open by one process.")
    pool_overflow: int = Field(5, ge=0, le=500, description="Connections opened beyond the pool when it is busy.")
    pool_timeout: float = Field(10.0, gt=0, description="Seconds to wait for a free connection.")
    pool_recycle: int = Field(1800, ge=1, description="Seconds after which a connection is replaced.")
    pooler: Literal["transaction"] | None = Field(None, description="Set to `transaction` behind pgbouncer.")
    connect_timeout: int = Field(5, ge=1, description="Seconds to wait for the server's first answer.")
    lock_timeout: float = Field(5.0, gt=0, description="Seconds to wait for a lock.")
    statement_timeout: float = Field(60.0, gt=0, description="Seconds one statement may take.")
    read_only: bool = Field(False, description="Refuse every write, whatever a command asks for.")
    round_trip_warning: float = Field(0.25, gt=0, description="Seconds for `select 1` before health warns.")
    round_trip_critical: float = Field(2.0, gt=0, description="Seconds for `select 1` before health is critical.")
    connections_warning: float = Field(0.80, gt=0, le=1, description="Share of the server's connections in use.")
    connections_critical: float = Field(0.95, gt=0, le=1, description="Share of the server's connections in use.")
    pool_wait_warning: float = Field(0.05, gt=0, description="Seconds (p95) to wait for a pooled connection.")
    pool_wait_critical: float = Field(1.0, gt=0, description="Seconds (p95) to wait for a pooled connection.")
    pool_hold_suspect: float = Field(60.0, gt=0, description="Seconds after which a held connection may be forgotten.")
    pool_samples_days: float = Field(14.0, gt=0, description="Days after which samples of pools have expired.")
    report_timeout: float = Field(600.0, gt=0, description="Seconds one notebook may take in all.")
    read_warning: float = Field(0.1, gt=0, description="Seconds (p95) for a common read before health warns.")
    read_critical: float = Field(1.0, gt=0, description="Seconds (p95) for a common read before health is critical.")
    idle_transaction_warning: float = Field(60.0, gt=0, description="Seconds a transaction may be left open and idle.")
    idle_transaction_critical: float = Field(600.0, gt=0, description="Seconds until an idle transaction is critical.")
    long_query_warning: float = Field(300.0, gt=0, description="Seconds one query may run before health warns.")
    long_query_critical: float = Field(1800.0, gt=0, description="Seconds one query may run before it is critical.")
    disk_warning: float = Field(0.80, gt=0, le=1, description="Share of a disk in use before health warns.")
    disk_critical: float = Field(0.90, gt=0, le=1, description="Share of a disk in use before it is critical.")

    backup_folder: Path | None = Field(None, description="Folder of the backups; unset: backups below HOME.")
    backup_after: str | None = Field(
        None, description="Command that gets each new backup's path: off-site, encryption."
    )
    backup_timeout: float = Field(21_600.0, gt=0, description="Seconds one program of a backup or restore may take.")
    backup_keep_last: int = Field(7, ge=1, description="Newest backups that prune keeps.")
    backup_keep_daily: int = Field(7, ge=0, description="Days of which prune keeps the newest backup.")
    backup_keep_weekly: int = Field(5, ge=0, description="Weeks of which prune keeps the newest backup.")
    backup_keep_monthly: int = Field(12, ge=0, description="Months of which prune keeps the newest backup.")

    @field_validator("database_url", "backup_after", "backup_folder", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("embedded_major", mode="before")
    @classmethod
    def _number_from_text(cls, value: object) -> object:
        # The environment has only text, and a literal of numbers does not turn it into one.
        return int(value) if isinstance(value, str) and value.isdigit() else value

    @field_validator("home", "backup_folder")
    @classmethod
    def _is_absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value else None

    @property
    def uses_embedded(self) -> bool:
        """Whether the private PostgreSQL of `home` is the database."""
        return self.database_url is None


def load_settings(**overrides: object) -> Settings:
    """Read the environment, let `overrides` win, and say in words what is wrong with a value.

    Raises `SettingsError` naming every variable that cannot be used.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        faults = [f"{PREFIX}{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in error.errors()]
        raise SettingsError("; ".join(faults) + ".", next_step="correct or unset the variable") from None
    except RuntimeError as error:  # pathlib and platformdirs, without HOME and without a passwd entry
        raise SettingsError(
            f"No home folder could be found ({error}).", next_step="set SUBJUNCTIVE_HOME to a folder you own"
        ) from None
