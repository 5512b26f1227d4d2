"""Write migrations/fingerprint.json: the catalog of an empty database migrated to head.

.venv/bin/python scripts/write_fingerprint.py         # on a private embedded server, removed afterwards
.venv/bin/python scripts/write_fingerprint.py URL     # in a throwaway database of the server at URL
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

from subjunctive_admin.db import Database
from subjunctive_admin.embedded import EmbeddedServer
from subjunctive_admin.schema import fingerprint, migrate

TARGET = Path(__file__).resolve().parents[1] / "migrations" / "fingerprint.json"
THROWAWAY = "subjunctive_fingerprint"


def catalog(database: Database) -> str:
    """The fingerprint of an empty database after migrating it, as the file holds it."""
    migrate(database)
    with database.connection() as connection:
        return json.dumps(fingerprint(connection), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


@contextmanager
def throwaway(url: str) -> Iterator[Database]:
    """An empty database on the server at `url`, dropped afterwards."""
    address = make_url(url).set(drivername="postgresql+psycopg")
    server = create_engine(address, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {THROWAWAY} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {THROWAWAY} TEMPLATE template0"))
        database = Database(address.set(database=THROWAWAY))
        try:
            yield database
        finally:
            database.dispose()
            connection.execute(text(f"DROP DATABASE {THROWAWAY} WITH (FORCE)"))
    server.dispose()


def write(url: str) -> int:
    """Write the file; return the number of objects in it."""
    with throwaway(url) as database:
        found = catalog(database)
    TARGET.write_text(found, encoding="utf-8")
    return len(json.loads(found))


def main(arguments: list[str]) -> None:
    """Write the file and say so."""
    if arguments:
        number = write(arguments[0])
    else:
        with tempfile.TemporaryDirectory() as folder:
            # As root the server runs as another user, who passes through here.
            Path(folder).chmod(0o711)
            server = EmbeddedServer(Path(folder), durable=False)
            server.start()
            try:
                number = write(server.admin_url("postgres"))
            finally:
                server.stop()
    print(f"{TARGET.name}: {number} objects")


if __name__ == "__main__":
    main(sys.argv[1:])
