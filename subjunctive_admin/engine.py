"""The fast engine of papermill: cells run in forks of one prepared process, within a real time limit.

A kernel of its own takes two thirds of a second to start and to import what every notebook needs. Here a
nursery imports it once for a suite, and each notebook is a fork that is killed at its deadline, whatever
it is doing. Outputs are those of the stock kernel. Known to papermill as `--engine subjunctive`; papermill
imports this module, which cannot be imported before it.

Not on Windows, which has no fork, and without a front end: widgets are displayed but answer to nobody.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine

from subjunctive_admin.nursery import Child, Nursery, NurseryGone

_NO_LIMIT = 7 * 24 * 3600.0


class FastClient(PapermillNotebookClient):  # type: ignore[misc] # papermill has no types
    """papermill's client with another kernel: messages come from a child and are kept as nbclient keeps them."""

    def __init__(self, nb_man: Any, child: Child, limit: Callable[[], float], **options: Any) -> None:
        super().__init__(nb_man, record_timing=False, **options)
        self._child, self._limit = child, limit

    def execute(self, **_: Any) -> Any:
        """Run every cell; the notebook that was run. Raises `CellTimeoutError` and `DeadKernelError`."""
        self.reset_execution_trackers()
        self.papermill_execute_cells()
        self.nb.metadata["language_info"] = _language()
        return self.nb

    def execute_cell(self, cell: Any, cell_index: int, *_: Any, **__: Any) -> Any:
        """Run one cell; raises `CellExecutionError` when it fails and nothing allows that."""
        tags = cell.metadata.get("tags", [])
        if cell.cell_type != "code" or not cell.source.strip() or self.skip_cells_with_tag in tags:
            return cell
        cell.outputs = []
        self.clear_before_next_output = False
        limit = self._limit()
        deadline = time.monotonic() + limit
        self._child.send({"source": cell.source})
        while (message := self._next(deadline, limit, cell))["msg_type"] != "done":
            headers = {"header": {"msg_type": message["msg_type"]}, "parent_header": {"msg_id": None}}
            self.process_message({**message, **headers}, cell, cell_index)
        reply = message["content"]
        if reply["status"] == "error" and "raises-exception" not in tags and not self.allow_errors:
            raise CellExecutionError.from_cell_and_msg(cell, reply)
        return cell

    def _next(self, deadline: float, limit: float, cell: Any) -> dict[str, Any]:
        try:
            message = self._child.receive(deadline)
        except TimeoutError:
            raise CellTimeoutError.error_from_timeout_and_cell("Cell execution timed out", int(limit), cell) from None
        if message is None:
            raise DeadKernelError("Kernel died")
        return message


class FastEngine(Engine):  # type: ignore[misc]
    """What `papermill --engine subjunctive` runs."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
        """Run a notebook in `options["nursery"]`, or in one of its own.

        `timeout_func(cell)` or `execution_timeout` limit a cell, in seconds; `on_cell_complete(cell, cell_index)`
        is called after each; cells run in `folder`, or where papermill was started.
        """
        del kernel_name
        nursery: Nursery | None = options.get("nursery")
        if nursery is None:
            with Nursery() as own:
                cls._execute(nb_man, own, options)
        else:
            cls._execute(nb_man, nursery, options)

    @classmethod
    def _execute(cls, nb_man: Any, nursery: Nursery, options: Mapping[str, Any]) -> None:
        folder = Path(options.get("folder") or Path.cwd())
        done = options.get("on_cell_complete")

        def limit() -> float:
            if options.get("timeout_func"):
                return float(options["timeout_func"](None))
            return float(options.get("execution_timeout") or _NO_LIMIT)

        class Client(FastClient):
            def execute_cell(self, cell: Any, cell_index: int, *given: Any, **more: Any) -> Any:
                try:
                    return super().execute_cell(cell, cell_index, *given, **more)
                finally:
                    if done:
                        done(cell=cell, cell_index=cell_index)

        streams = {name: options.get(name) for name in ("log_output", "stdout_file", "stderr_file")}
        try:
            child = nursery.bear(folder, os.environ)
        except NurseryGone:
            raise DeadKernelError("The nursery died") from None
        with child:
            Client(nb_man, child, limit, **{k: v for k, v in streams.items() if v is not None}).execute()


def _language() -> dict[str, Any]:
    """What a Python kernel says of its language."""
    version = ".".join(map(str, sys.version_info[:3]))
    return {
        "name": "python",
        "version": version,
        "mimetype": "text/x-python",
        "codemirror_mode": {"name": "ipython", "version": sys.version_info[0]},
        "pygments_lexer": f"ipython{sys.version_info[0]}",
        "nbconvert_exporter": "python",
        "file_extension": ".py",
    }
