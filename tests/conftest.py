"""A real PostgreSQL for every test: one cluster for each run and major, a fresh database where commits matter."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

import pytest
from sqlalchemy import URL, Connection, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from subjunctive_admin.db import Database
from subjunctive_admin.embedded import EmbeddedServer
from subjunctive_admin.schema import migrate
from subjunctive_admin.settings import Settings, load_settings
from tests.faults import tally
from tests.folders import reachable_folder

DEBIAN = Path("/usr/lib/postgresql")
MAJORS = (15, 16, 18)


# A shell that starts tests in the background has them ignore Ctrl-C, and what they start inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--postgres", type=int, choices=MAJORS, default=18, help="major version of the tests' server")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Its reports carry what a test injects, also those that another process sends."""
    ids = sorted({fault for mark in item.iter_markers("injects") for fault in mark.args})
    item.user_properties.extend(("injects", fault) for fault in ids)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = (report for reports in terminalreporter.stats.values() for report in reports)
    if line := tally(report for report in reports if isinstance(report, pytest.TestReport)):
        terminalreporter.write_line(line)


class Cluster:
    """A server without durability, its migrated template, and one migrated database for tests that roll back."""

    def __init__(self, major: int, home: Path) -> None:
        # The wheel has no 15.
        binaries = DEBIAN / "15" / "bin" if major == 15 else None
        self.server = EmbeddedServer(home, major=major, binaries_folder=binaries, durable=False)
        self._numbers = itertools.count(1)
        self._open: list[Database] = []
        self.server.start()

    @cached_property
    def template(self) -> str:
        self._create("migrated", "template0")
        made = Database(self.server.url("migrated"), purpose="test")
        migrate(made)
        close(made)  # a template has no sessions
        return "migrated"

    @cached_property
    def shared(self) -> Database:
        """Migrated and empty: whoever uses it rolls back."""
        self._create("shared", self.template)
        self._open.append(Database(self.server.url("shared"), purpose="test"))
        return self._open[-1]

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[Database]:
        """A database of its own, dropped at the end whoever is still connected."""
        name = f"test_{next(self._numbers)}"
        self._create(name, template)
        made = Database(self.server.url(name), purpose="test")
        try:
            yield made
        finally:
            close(made)
            # The superuser's: a session of another role that is just ending would refuse to be ended by ours.
            self._superuser.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))

    def stop(self) -> None:
        for one in self._open:
            close(one)
        for name in {"_maintenance", "_superuser"} & self.__dict__.keys():
            connection: Connection = self.__dict__[name]
            connection.close()
            connection.engine.dispose()
        self.server.stop()

    @cached_property
    def _maintenance(self) -> Connection:
        url: URL = make_url(self.server.url("postgres"))
        return create_engine(url, isolation_level="AUTOCOMMIT").connect()

    @cached_property
    def _superuser(self) -> Connection:
        url: URL = make_url(self.server.admin_url("postgres"))
        return create_engine(url, isolation_level="AUTOCOMMIT").connect()

    @cached_property
    def _clones(self) -> bool:
        """Whether the file system shares blocks between copies, which PostgreSQL 18 can use."""
        if self.server.major < 18:
            return False
        self._execute("SET file_copy_method = clone")
        try:
            self._execute("CREATE DATABASE cloned TEMPLATE template0 STRATEGY FILE_COPY")
        except DBAPIError:
            self._execute("RESET file_copy_method")
            return False
        self._execute("DROP DATABASE cloned")
        return True

    def _create(self, name: str, template: str) -> None:
        strategy = "FILE_COPY" if self._clones else "WAL_LOG"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY {strategy}")

    def _execute(self, statement: str) -> None:
        self._maintenance.execute(text(statement))


def close(database: Database) -> None:
    """Close both engines; a loop of its own does for connections whose test's loop is gone."""
    database.dispose()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(database.dispose_async())
    loop.close()


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing set for the developer's own databases reaches a test.

    HOME stays: uv and the browsers find their caches through it.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("SUBJUNCTIVE_", "PG")):
                patch.delenv(name)
        # No server can run here, so a test that starts one by mistake fails.
        home = tmp_path_factory.mktemp("home")
        for name in ("SUBJUNCTIVE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"):
            patch.setenv(name, str(home / "no-server-here"))
        yield


@pytest.fixture
def settings() -> Settings:
    """What a clean environment gives."""
    return load_settings()


@pytest.fixture(scope="session")
def clusters(clean_environment: None) -> Iterator[Callable[[int], Cluster]]:
    """The cluster of a major version, started when first asked for and stopped at the end."""
    started: dict[int, Cluster] = {}
    with ExitStack() as stack:

        def cluster(major: int) -> Cluster:
            if major == 15 and not (DEBIAN / "15").exists():
                pytest.skip("PostgreSQL 15 is not installed; `apt-get install postgresql-15` brings it")
            if major not in started:
                home = stack.enter_context(reachable_folder())
                started[major] = Cluster(major, home)
                stack.callback(started[major].stop)
            return started[major]

        yield cluster


@pytest.fixture(scope="session")
def cluster(clusters: Callable[[int], Cluster], pytestconfig: pytest.Config) -> Cluster:
    return clusters(pytestconfig.getoption("--postgres"))


@pytest.fixture(scope="session")
def server(cluster: Cluster) -> EmbeddedServer:
    """The running server of this test run."""
    return cluster.server


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    """A migrated database of the test's own: it may commit."""
    with cluster.database(cluster.template) as made:
        yield made


@pytest.fixture
def empty_database(cluster: Cluster) -> Iterator[Database]:
    """A database of the test's own in which nothing was migrated."""
    with cluster.database() as made:
        yield made


@contextmanager
def rolled_back(cluster: Cluster) -> Iterator[Session]:
    with cluster.shared.engine.connect() as connection, connection.begin() as transaction:
        with Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
            yield session
        transaction.rollback()


@pytest.fixture
def session(cluster: Cluster) -> Iterator[Session]:
    """A session whose every change is rolled back, also what it commits; its nested transactions are savepoints."""
    with rolled_back(cluster) as session:
        yield session


@pytest.fixture(params=MAJORS)
def matrix_cluster(request: pytest.FixtureRequest, clusters: Callable[[int], Cluster]) -> Cluster:
    """Each supported major in turn, for tests marked `matrix`."""
    return clusters(request.param)


@pytest.fixture
def matrix_database(matrix_cluster: Cluster) -> Iterator[Database]:
    """A migrated database of the test's own on each major."""
    with matrix_cluster.database(matrix_cluster.template) as made:
        yield made


@pytest.fixture
def matrix_session(matrix_cluster: Cluster) -> Iterator[Session]:
    """What `session` is, on each major."""
    with rolled_back(matrix_cluster) as session:
        yield session
