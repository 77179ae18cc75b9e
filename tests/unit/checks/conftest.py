"""A correct database for the tests of all checks, made once per module and kind of database."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from internal.checks import seals
from tests.support import shop, staged_orders
from tests.unit.checks.good_database import Database, seal_the_day_before, trade


@pytest.fixture(scope="module")
def good(any_engine: sa.Engine | None) -> Iterator[Database]:
    with staged_orders.database_on(any_engine) as connection:
        shop.open_for_business(connection)
        yield Database(connection, trade(connection))


@pytest.fixture
def database(good: Database) -> Iterator[Database]:
    with staged_orders.undone(good.connection):
        yield Database(good.connection, dict(good.captured))


@pytest.fixture(scope="module")
def good_since_seal(any_engine: sa.Engine | None) -> Iterator[Database]:
    with staged_orders.database_on(any_engine) as connection:
        shop.open_for_business(connection)
        seal_the_day_before(connection)
        yield Database(connection, trade(connection), seals.last(connection))


@pytest.fixture
def since_seal(good_since_seal: Database) -> Iterator[Database]:
    """A correct database whose check begins after a seal."""
    with staged_orders.undone(good_since_seal.connection):
        yield good_since_seal._replace(captured=dict(good_since_seal.captured))


@pytest.fixture(scope="module")
def empty() -> Iterator[sa.Connection]:
    """An empty database in memory; each example of a property takes back what it adds."""
    with staged_orders.database() as connection:
        yield connection
