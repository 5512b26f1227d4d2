"""Re-make the vendored plotly bundle from its npm package: `python scripts/vendor_plotly.py [VERSION]`.

The version must be the one that the Python package plotly was released with (`plotly.offline` names it).
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "plotly.js-cartesian-dist-min"
VERSION = "4.1.1"
LOOK = Path(__file__).resolve().parents[1] / "subjunctive_admin" / "look"


def fetch(version: str) -> dict[str, bytes]:
    """The files of the npm package, by name, through the npm client that is configured here."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{version}"], cwd=folder, check=True)
        archive = next(Path(folder).glob("*.tgz"))
        with tarfile.open(archive) as tar:
            members = {name: tar.extractfile(f"package/{name}") for name in ("plotly-cartesian.min.js", "LICENSE")}
            return {name: stream.read() for name, stream in members.items() if stream is not None}


def main() -> None:
    """Write the bundle, packed the same way each time, and its licence."""
    version = sys.argv[1] if len(sys.argv) > 1 else VERSION
    files = fetch(version)
    packed = gzip.compress(files["plotly-cartesian.min.js"], compresslevel=9, mtime=0)
    (LOOK / "plotly-cartesian.min.js.gz").write_bytes(packed)
    (LOOK / "LICENSE.plotly").write_bytes(files["LICENSE"])
    print(f"plotly.js {version}, cartesian bundle: {len(packed):,} bytes packed")


if __name__ == "__main__":
    main()
