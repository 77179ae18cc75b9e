"""MariaDB (or MySQL) as a part of the stack: private data, socket, port and password.

It reads no configuration of the machine's and touches no other server. The administrator comes in
through the socket only; Souk's user sees its own databases only.
"""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import exc, pool

from internal.kernel import errors
from internal.stack import layout, ports, prerequisites

NAME = "mysql"
READY_S = 60
STOP_S = 60
"""It writes what is in its memory."""
LOGIN_S = 5
INSTALL_S = 120


class Option(NamedTuple):
    """A server's option with its reason."""

    text: str
    why: str


OPTIONS: tuple[Option, ...] = (
    Option(f"--bind-address={ports.HOST}", "nobody outside this machine"),
    Option("--skip-name-resolve", "no waiting for a name server at each connection"),
    Option("--local-infile=0", "no statement reads a client's files"),
    Option("--innodb-flush-log-at-trx-commit=1", "a commit is on the disk: the default, insisted"),
    Option("--innodb-buffer-pool-size=1G", "a million orders' hot pages; taken as it is used"),
    Option("--innodb-log-file-size=512M", "fewer checkpoints under load than with 96 MiB"),
    Option("--innodb-flush-neighbors=0", "no disk turns any more: write what is dirty, not beside"),
    Option("--character-set-server=utf8mb4", "all of Unicode"),
    Option("--max-allowed-packet=64M", "a batch is one parameter; MySQL's default, not MariaDB's"),
    Option("--max-connections=200", "every process of Souk takes 8 at most"),
    Option("--skip-log-bin", "no replicas: MySQL would write everything twice"),
)


class Database:
    """How it is started and asked."""

    name = NAME
    ready_s, stop_s = READY_S, STOP_S

    def __init__(self, of: layout.Folder, chosen: ports.Ports) -> None:
        self.folder, self.ports = of, chosen

    @property
    def port_names(self) -> tuple[str, ...]:
        """Return which of the stack's ports it listens on."""
        return ("mysql",)

    def prepare(self) -> None:
        """Make its data folder, whole or not at all, and write what it does first when it starts.

        Raises:
            Misconfigured: that failed.
        """
        self._init_file.unlink(missing_ok=True)
        layout.write_secret(self._init_file, first_statements(layout.password(self.folder)))
        if self.folder.mysql.is_dir():
            return
        fresh = self.folder.mysql.with_name("mysql.new")
        shutil.rmtree(fresh, ignore_errors=True)
        prerequisites.run(_installer(fresh), timeout_s=INSTALL_S, environment=os.environ)
        fresh.replace(self.folder.mysql)

    def command(self) -> list[str]:
        """Return what starts it."""
        return [
            _server(),
            "--no-defaults",
            f"--datadir={self.folder.mysql}",
            f"--socket={self.folder.socket}",
            f"--pid-file={self.folder.run / 'mysqld.pid'}",
            # A server that starts deletes what others have in a folder that they share.
            f"--tmpdir={self.folder.run}",
            f"--port={self.ports.mysql}",
            f"--init-file={self._init_file}",
            *_user_option(),
            *(option.text for option in OPTIONS),
        ]

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """Return its environment: the caller's, without Souk's settings."""
        del extra
        return {
            k: v for k, v in os.environ.items() if not k.startswith(("SOUK_", "MYSQL", "UMASK"))
        }

    def is_ready(self) -> bool:
        """Tell whether Souk's user can log in and use its database."""
        where = sa.URL.create(
            "mysql+pymysql",
            username=layout.USER,
            password=layout.password(self.folder),
            host=ports.HOST,
            port=self.ports.mysql,
            database=layout.DATABASE,
        )
        engine = sa.create_engine(
            where, poolclass=pool.NullPool, connect_args={"connect_timeout": LOGIN_S}
        )
        try:
            with engine.connect() as connection:
                return bool(connection.scalar(sa.text("SELECT 1")))
        except exc.DBAPIError:
            return False

    def recover(self) -> None:
        """Do nothing: it recovers by itself."""

    def away(self, what: str) -> errors.Temporary:
        """Return the error for a database that is not there."""
        return errors.DatabaseAway(what)

    @property
    def _init_file(self) -> Path:
        return self.folder.run / "first.sql"


def first_statements(password: str) -> str:
    """Return what the server runs before it listens, one statement a line, the same at every start.

    The user may also make databases beside Souk's own, whose names begin alike: tests do.
    """
    user = f"'{layout.USER}'@'{ports.HOST}'"
    return "\n".join(
        [
            f"CREATE DATABASE IF NOT EXISTS `{layout.DATABASE}` CHARACTER SET utf8mb4;",
            f"CREATE USER IF NOT EXISTS {user};",
            f"ALTER USER {user} IDENTIFIED BY '{password}';",
            f"GRANT ALL PRIVILEGES ON `{layout.DATABASE}`.* TO {user};",
            f"GRANT ALL PRIVILEGES ON `{layout.DATABASE}\\_%`.* TO {user};",
            "",
        ]
    )


def _server() -> str:
    return prerequisites.mysqld() or "mariadbd"


def _user_option() -> list[str]:
    """Both servers refuse to run as root unless they are told to."""
    return ["--user=root"] if os.geteuid() == 0 else []


def _installer(data: Path) -> list[str]:
    """Return what makes a data folder: MariaDB has a program for that, MySQL's server does it."""
    installer = prerequisites.find("mariadb-install-db", "mysql_install_db")
    if installer is None:
        insecure = ["--initialize-insecure", f"--datadir={data}", *_user_option()]
        return [_server(), "--no-defaults", *insecure]
    return [
        installer,
        "--no-defaults",
        f"--datadir={data}",
        "--auth-root-authentication-method=socket",
        "--skip-test-db",
        *_user_option(),
    ]
