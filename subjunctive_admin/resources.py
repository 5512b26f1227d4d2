"""Where the notebooks, migrations and seeds are: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: str) -> Path:
    """The folder `notebooks`, `migrations` or `seeds` that belongs to this version of the package.

    Raises FileNotFoundError when the installation lacks it.
    """
    for candidate in (_PACKAGE / "bundled" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"This installation of subjunctive-admin has no folder {name}; install it again.")
