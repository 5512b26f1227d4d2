"""Backups that count because they were restored: made with hashes, proof-read, verified, swapped in, pruned.

manifest = create_backup(database)
verify_backup(settings, manifest.name)
restore_beside(database, manifest.name, "subjunctive_restored")
swap(database, "subjunctive_restored", confirmed="subjunctive")
prune(settings, apply=True)
"""

from subjunctive_admin.ops.backup.create import BackupFailed, create_backup
from subjunctive_admin.ops.backup.manifest import DamagedBackup, Manifest, Unusable, backup_folder, find, read_folder
from subjunctive_admin.ops.backup.restore import (
    RestoreFailed,
    Swapped,
    repair_swap,
    require_typed,
    restore_beside,
    swap,
    verify_backup,
)
from subjunctive_admin.ops.backup.retention import Pruning, prune

__all__ = [
    "BackupFailed",
    "DamagedBackup",
    "Manifest",
    "Pruning",
    "RestoreFailed",
    "Swapped",
    "Unusable",
    "backup_folder",
    "create_backup",
    "find",
    "prune",
    "read_folder",
    "repair_swap",
    "require_typed",
    "restore_beside",
    "swap",
    "verify_backup",
]
