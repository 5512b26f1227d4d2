"""Write seeds/manifest.json: what the seeds hold, so that health compares it with what is live and reads no YAML.

.venv/bin/python scripts/write_manifest.py
"""

from __future__ import annotations

import json
from pathlib import Path

from subjunctive_admin.seeding import MANIFEST, manifest_of

FOLDER = Path(__file__).resolve().parents[1] / "seeds"


def written(folder: Path = FOLDER) -> str:
    """The manifest of these files, as the file holds it."""
    return json.dumps(manifest_of(folder), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the file and say so."""
    text = written()
    (FOLDER / MANIFEST).write_text(text, encoding="utf-8")
    print(f"{MANIFEST}: {len(json.loads(text)['items'])} items")


if __name__ == "__main__":
    main()
