"""Folders for tests whose servers run as another user."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def reachable_folder() -> Iterator[Path]:
    """A new folder that any server user can pass through, removed at the end; pytest's tmp_path is closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="subjunctive-test-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
