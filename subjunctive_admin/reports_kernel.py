"""The kernel manager of headless runs: the stock kernel, started by `subjunctive_admin.kernel`."""

from __future__ import annotations

from typing import Any

from jupyter_client.manager import AsyncKernelManager


class QuickKernelManager(AsyncKernelManager):
    """Starts `ipykernel` through our launcher, without history file and log noise."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._clients: list[Any] = []

    def client(self, **options: Any) -> Any:
        """A client that `close_clients` closes: nbclient leaves those of a kernel that it did not start open."""
        self._clients.append(super().client(**options))
        return self._clients[-1]

    def close_clients(self) -> None:
        """Close the sockets and threads of every client."""
        while self._clients:
            self._clients.pop().stop_channels()

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        """The kernel spec's command with the module to run exchanged."""
        command: list[str] = super().format_kernel_cmd(extra_arguments)
        quick = ["subjunctive_admin.kernel" if part == "ipykernel_launcher" else part for part in command]
        return [*quick, "--HistoryManager.enabled=False", "--IPKernelApp.log_level=ERROR"]
