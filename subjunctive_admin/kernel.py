"""Starts a Jupyter kernel without a second of start-up work that no notebook of the suite needs.

`python -m subjunctive_admin.kernel -f CONNECTION_FILE` is `python -m ipykernel_launcher` with one
import left out: with JupyterLab installed, nbformat builds a large grammar for one rarely used check
of URIs, in every process that imports it, and plotly imports it in every kernel.
"""

from __future__ import annotations

import sys
from pathlib import Path


def skip_slow_grammar() -> None:
    """Leave out `rfc3987_syntax`; call it before nbformat is imported. Only the iri format check is lost."""
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def main() -> None:
    """Run the kernel until it is told to shut down."""
    skip_slow_grammar()
    # The folder that -m puts in front would let a notebook's neighbours shadow the standard library.
    if sys.path and sys.path[0] in ("", str(Path.cwd())):
        sys.path.pop(0)
    from ipykernel import kernelapp  # noqa: PLC0415 - after the grammar is out of the way

    kernelapp.launch_new_instance()


if __name__ == "__main__":
    main()
