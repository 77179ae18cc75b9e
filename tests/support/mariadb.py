"""A MariaDB for the tests: the one that SOUK_TEST_MYSQL names, or a private one for this run.

SOUK_TEST_MYSQL=mysql://user:password@host:port, of a user who may create and drop databases. Every
test that asks gets a database of its own, empty, with a name that nobody else has.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest
import sqlalchemy as sa

from internal.infra import columns, db, settings
from internal.infra.migrations import append_only
from internal.infra.mysql import database as mysql

VARIABLE = "SOUK_TEST_MYSQL"
START_S = 300.0
STOP_S = 20.0
MISSING = "not run: mariadbd is not installed (apt-get install mariadb-server)"


class Server:
    """A server, and a user of it who may create databases."""

    def __init__(self, url: sa.URL) -> None:
        self.url = url

    def options(self, database: str) -> settings.MysqlSettings:
        """Return the settings with which Souk uses one of its databases."""
        return settings.MysqlSettings(
            host=self.url.host or "",
            port=self.url.port or 3_306,
            user=self.url.username or "",
            password=pydantic.SecretStr(self.url.password or ""),
            database=database,
        )

    @contextlib.contextmanager
    def database(self) -> Iterator[settings.MysqlSettings]:
        """Make a database, and drop it in the end."""
        name = f"souk_test_{secrets.token_hex(6)}"
        self.tell(f"CREATE DATABASE {name}")
        try:
            yield self.options(name)
        finally:
            self.tell(f"DROP DATABASE {name}")

    def tell(self, statement: str) -> None:
        """Run a statement outside any database."""
        engine = self.engine()
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()

    def engine(self, database: str = "") -> sa.Engine:
        """Return a plain, blocking engine whose sessions are Souk's own."""
        url = self.url.set(drivername="mysql+pymysql", database=database)
        engine = sa.create_engine(
            url.update_query_dict({"charset": "utf8mb4"}),
            poolclass=sa.NullPool,
            hide_parameters=True,
        )
        sa.event.listen(engine, "connect", _prepare)
        return engine

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        """Return when the server answers; fail when it ends or takes too long."""
        give_up = time.monotonic() + START_S
        while True:
            try:
                return self.tell("SELECT 1")
            except sa.exc.OperationalError:
                if process.poll() is not None or time.monotonic() > give_up:
                    pytest.fail("mariadbd does not answer")
            time.sleep(0.05)


def _prepare(own: Any, _record: object) -> None:  # noqa: ANN401 - the driver's connection
    cursor = own.cursor()
    for statement in mysql.SESSION:
        cursor.execute(statement)


def unprotect(connection: sa.Connection) -> None:
    """Let rows of append-only tables be deleted and corrupted."""
    for table in db.METADATA.sorted_tables:
        for action in append_only.ACTIONS if table.info == columns.APPEND_ONLY else ():
            name = append_only.trigger_name(table.name, action)
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")


def clear(connection: sa.Connection) -> None:
    """Delete every row of Souk's tables: many times faster than making them again."""
    for table in db.METADATA.sorted_tables:
        connection.execute(table.delete())


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Server]:
    """Give the server that is named, or start one in this folder and stop it in the end."""
    url = os.environ.get(VARIABLE)
    if url:
        yield Server(sa.make_url(url))
        return
    with started(folder) as server:
        yield server


@contextlib.contextmanager
def started(folder: Path, *more_options: str) -> Iterator[Server]:
    """Start a server in this folder, and stop it in the end."""
    program = _program()
    data, port = folder / "data", _free_port()
    _install(data)
    options = [*_options(data, folder / "socket", port), *more_options]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "--no-defaults", *options], stdout=log, stderr=log)
    try:
        server = Server(sa.URL.create("mysql", "root", host="127.0.0.1", port=port))
        server.wait(process)
        yield server
    finally:
        _stop(process)


def _program() -> str:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    program = shutil.which("mariadbd", path=path)
    if program is not None:
        return program
    if os.environ.get("CI") == "true":
        pytest.fail(MISSING)
    pytest.skip(MISSING)


def _install(data: Path) -> None:
    subprocess.run(
        [
            shutil.which("mariadb-install-db") or "mariadb-install-db",
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            *_as_root(),
        ],
        check=True,
        capture_output=True,
        timeout=START_S * 2,
    )


def _options(data: Path, socket_file: Path, port: int) -> list[str]:
    """Nothing here must survive a power cut."""
    return [
        f"--datadir={data}",
        f"--tmpdir={data.parent}",
        f"--socket={socket_file}",
        f"--port={port}",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-buffer-pool-size=128M",
        *_as_root(),
    ]


def _as_root() -> list[str]:
    """MariaDB refuses to run as root unless it is told to."""
    return ["--user=root"] if os.geteuid() == 0 else []


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
