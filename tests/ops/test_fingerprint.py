"""The fingerprint that is shipped is the one that the migrations make."""

from __future__ import annotations

import runpy
from pathlib import Path

from subjunctive_admin.db import Database
from subjunctive_admin.resources import resource_folder

SCRIPT = Path(__file__).parents[2] / "scripts" / "write_fingerprint.py"


def test_the_shipped_fingerprint_equals_a_fresh_migration(empty_database: Database) -> None:
    catalog = runpy.run_path(str(SCRIPT))["catalog"]
    shipped = (resource_folder("migrations") / "fingerprint.json").read_text(encoding="utf-8")
    assert catalog(empty_database) == shipped, "run scripts/write_fingerprint.py and look at the difference"
