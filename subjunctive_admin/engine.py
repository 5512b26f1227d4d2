"""The fast engine of papermill, `papermill --engine subjunctive`: its own engine on forks of one prepared process.

It runs Python notebooks, in this Python. Where there is no fork (Windows), each has a stock kernel of its own.
papermill loads this module while it is imported, so it must not need papermill itself.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from subjunctive_admin.nursery import AVAILABLE, Nursery


class FastEngine:
    """What `papermill --engine subjunctive` runs: papermill's own engine on another kernel."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, nursery: Nursery | None = None, **options: Any) -> Any:
        """Run a notebook in the nursery, or in one of its own; the options are those of papermill's engine."""
        from papermill.engines import NBClientEngine  # noqa: PLC0415 - papermill loads this module to register it

        if not AVAILABLE:
            return NBClientEngine.execute_notebook(nb, kernel_name, **options)
        with contextlib.ExitStack() as stack:
            prepared = nursery or stack.enter_context(Nursery())
            kernel = stack.enter_context(prepared.bear(Path.cwd(), os.environ))
            return NBClientEngine.execute_notebook(nb, kernel_name, km=kernel, **options)

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        """The kernel's name in the notebook's metadata, or the given one."""
        from papermill.engines import NBClientEngine  # noqa: PLC0415

        return str(NBClientEngine.nb_kernel_name(nb, name))

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:
        """The language in the notebook's metadata, or the given one."""
        from papermill.engines import NBClientEngine  # noqa: PLC0415

        return str(NBClientEngine.nb_language(nb, language))
