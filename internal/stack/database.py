"""MariaDB (or MySQL) as a part of the stack: private data, socket, port and password.

It does not read the machine's configuration or touch another server. The administrator can log in
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
"""It writes its buffers to disk first."""
LOGIN_S = 5
INSTALL_S = 120


class Option(NamedTuple):
    """A server's option with its reason."""

    text: str
    why: str


OPTIONS: tuple[Option, ...] = (
    Option(f"--bind-address={ports.HOST}", "no connection from outside this machine"),
    Option("--skip-name-resolve", "no waiting for a name server at each connection"),
    Option("--local-infile=0", "no statement reads a client's files"),
    Option("--innodb-flush-log-at-trx-commit=1", "a commit is on the disk: the default, explicit"),
    Option("--innodb-buffer-pool-size=1G", "a million orders' hot pages; taken as it is used"),
    Option("--innodb-log-file-size=512M", "fewer checkpoints under load than with 96 MiB"),
    Option("--innodb-flush-neighbors=0", "disks do not rotate any more: write dirty pages only"),
    Option("--character-set-server=utf8mb4", "all of Unicode"),
    Option("--max-allowed-packet=64M", "a batch is one parameter; MySQL's default, not MariaDB's"),
    Option("--max-connections=200", "every process of Souk opens 8 at most"),
    Option("--skip-log-bin", "no replicas: MySQL would write everything twice"),
)


class Database:
    """How the database is started and polled."""

    name = NAME
    ready_s, stop_s = READY_S, STOP_S

    def __init__(self, of: layout.Folder, chosen: ports.Ports) -> None:
        self.folder, self.ports = of, chosen

    @property
    def port_names(self) -> tuple[str, ...]:
        """Names of the stack's ports on which it listens."""
        return ("mysql",)

    def prepare(self) -> None:
        """Make its data folder, completely or not at all, and write its first statements.

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
        """Return the command that starts it."""
        return [
            _server(),
            "--no-defaults",
            f"--datadir={self.folder.mysql}",
            f"--socket={self.folder.socket}",
            f"--pid-file={self.folder.run / 'mysqld.pid'}",
            # A starting server deletes the files of other servers in a shared folder.
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
        """Return the error for a database that does not answer."""
        return errors.DatabaseAway(what)

    @property
    def _init_file(self) -> Path:
        return self.folder.run / "first.sql"


def first_statements(password: str) -> str:
    """Return the statements that the server runs at every start before it listens, one per line.

    The user may also create other databases whose names begin like Souk's own: tests do.
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
    """Return the option for root: both servers refuse to run as root without it."""
    return ["--user=root"] if os.geteuid() == 0 else []


def _installer(data: Path) -> list[str]:
    """Return the command that makes a data folder: MariaDB's program, or MySQL's server itself."""
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
