"""The kernel manager of headless runs: the stock kernel, started by `subjunctive_admin.kernel`."""

from __future__ import annotations

from jupyter_client.manager import AsyncKernelManager


class QuickKernelManager(AsyncKernelManager):
    """Starts `ipykernel` through our launcher, without history file and log noise."""

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        """The kernel spec's command with the module to run exchanged."""
        command: list[str] = super().format_kernel_cmd(extra_arguments)
        quick = ["subjunctive_admin.kernel" if part == "ipykernel_launcher" else part for part in command]
        return [*quick, "--HistoryManager.enabled=False", "--IPKernelApp.log_level=ERROR"]
