"""Receipt numbers have no gap and no double, however two instances meet at a store's first one."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from internal.infra import settings
from internal.kernel import errors
from internal.orders import receipt_numbers
from tests.support import mariadb, staged_orders

BERLIN, LISBON = ("m", "berlin"), ("m", "lisbon")


@pytest.fixture
def engine(
    mysql_server: mariadb.Server, mysql_books: settings.MysqlSettings
) -> Iterator[sa.Engine]:
    engine = mysql_server.engine(mysql_books.database)
    with engine.begin() as connection:
        mariadb.clear(connection)
    yield engine
    engine.dispose()


def test_every_store_counts_by_itself(any_engine: sa.Engine | None) -> None:
    with staged_orders.database_on(any_engine) as connection:
        assert receipt_numbers.take(connection, {BERLIN: 3}) == {BERLIN: 1}
        assert receipt_numbers.take(connection, {BERLIN: 2, LISBON: 1}) == {BERLIN: 4, LISBON: 1}
        assert receipt_numbers.take(connection, {LISBON: 1, BERLIN: 1}) == {BERLIN: 6, LISBON: 2}


@pytest.mark.parametrize("others", [{}, {BERLIN: 1}])
def test_a_counter_that_appears_meanwhile_is_a_conflict(
    engine: sa.Engine, others: dict[tuple[str, str], int]
) -> None:
    """Another instance finalizes a store's first order just after this one has found no counter."""
    with engine.begin() as connection:
        receipt_numbers.take(connection, {BERLIN: 7})
    late, meanwhile = engine.connect(), [{LISBON: 1}]
    driver: Any = late.connection.driver_connection
    query = driver.query

    def after_another_instance(sql: bytes | str, *options: object) -> int:
        text = sql if isinstance(sql, str) else sql.decode()
        if meanwhile and text.lstrip().startswith("SELECT"):
            with engine.begin() as first:
                assert receipt_numbers.take(first, meanwhile.pop()) == {LISBON: 1}
        return int(query(sql, *options))

    driver.query = after_another_instance
    with late, pytest.raises(errors.Conflict):
        receipt_numbers.take(late, {LISBON: 1, **others})
    driver.query = query
    assert not meanwhile
    with engine.begin() as again:
        assert receipt_numbers.take(again, {LISBON: 1}) == {LISBON: 2}
