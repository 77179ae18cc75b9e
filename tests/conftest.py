"""What every test run begins with: Hypothesis in no hurry, and the same cases at each quick run.

And the servers that tests may ask for, a MariaDB or a whole stack: they are started when the first
of them does.
"""

import os
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from internal.infra import migrate, settings
from tests.support import mariadb, plans, profiles, staged_orders
from tests.support import stack as stacks

profiles.load()
plans.watch()
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it; the CLI writes into a pipe here


@pytest.fixture(autouse=True)
def no_scans() -> Iterator[None]:
    """Every test fails if Souk scans a table that grows: see tests/support/plans.py."""
    yield
    assert plans.PLANS.taken() == []


@pytest.fixture(scope="session")
def mysql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mariadb.Server]:
    """A server that speaks MySQL's protocol; started for this run unless one is named."""
    with mariadb.running(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture
def mysql_options(mysql_server: mariadb.Server) -> Iterator[settings.MysqlSettings]:
    """An empty database of that server."""
    with mysql_server.database() as options:
        yield options


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stacks.Running]:
    """A real Pulsar and a real MariaDB that are up, one for all tests of this process."""
    with stacks.running(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def mysql_books(mysql_server: mariadb.Server) -> Iterator[settings.MysqlSettings]:
    """A database with Souk's tables that many tests share; each clears it first."""
    with mysql_server.database() as options:
        engine = mysql_server.engine(options.database)
        with engine.begin() as connection:
            migrate.upgrade(connection)
            mariadb.unprotect(connection)
        engine.dispose()
        yield options


@pytest.fixture(scope="module", params=["sqlite", "mysql"])
def any_engine(request: pytest.FixtureRequest) -> Iterator[sa.Engine | None]:
    """A server's database, or None for books in memory."""
    if request.param == "sqlite":
        yield None
        return
    options = request.getfixturevalue("mysql_books")
    engine = request.getfixturevalue("mysql_server").engine(options.database)
    yield engine
    engine.dispose()


@pytest.fixture
def any_database(any_engine: sa.Engine | None) -> Iterator[sa.Connection]:
    """An empty database of every kind in turn."""
    with staged_orders.database_on(any_engine) as connection:
        yield connection
