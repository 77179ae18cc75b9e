"""Values too large for a column, a number or a message are rejected; nothing is cut silently."""

from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from internal.infra import bulk, db
from internal.infra.mysql import database as mysql
from internal.infra.settings import MysqlSettings
from tests.contract.database_contract import (
    ALL,
    KEY,
    NAMES,
    SCRATCH,
    THINGS,
    everything,
    put,
    thing,
)


@pytest.fixture
async def database(mysql_options: MysqlSettings) -> AsyncIterator[mysql.MysqlDatabase]:
    database = mysql.MysqlDatabase(mysql_options)
    await database.write(SCRATCH.create_all)
    yield database
    await database.close()


async def test_many_megabytes_go_in_several_statements(database: mysql.MysqlDatabase) -> None:
    """A server takes 16 MiB at once by default."""
    long = "x'\"\\" * 2_500
    rows = [("o", number, "", long, 1, None) for number in range(2_500)]
    assert await database.write(lambda c: bulk.insert(c, THINGS, NAMES, rows)) == len(rows)
    query = (
        "SELECT t.thing_no FROM {w} CROSS JOIN contract_things t"
        " ON t.owner = {w.owner} AND t.thing_no = {w.thing_no} AND t.document = {w.document}"
    )
    found = await database.read(lambda c: bulk.select(c, ALL, query, rows))
    assert sorted(row[0] for row in found) == list(range(2_500))


async def test_a_quick_read_leaves_no_transaction_open(database: mysql.MysqlDatabase) -> None:
    """Neither does a normal read: the next one sees commits made meanwhile."""
    counts: list[int] = []
    for number in range(3):
        await database.write(lambda c, number=number: put(c, thing(number=number)))  # type: ignore[misc]
        looks = [await database.read(everything, is_quick=quick) for quick in (True, False, True)]
        counts += map(len, looks)
    assert counts == [1, 1, 1, 2, 2, 2, 3, 3, 3]


async def test_a_snapshot_is_not_written_to(database: mysql.MysqlDatabase) -> None:
    with pytest.raises(sa.exc.DBAPIError, match="1792"):
        await database.read(lambda c: put(c, thing()))
    assert await database.read(everything) == []


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64])
async def test_integers_beyond_64_bits_are_refused(database: db.Database, number: int) -> None:
    with pytest.raises((OverflowError, sa.exc.DataError)):
        await database.write(lambda c: put(c, thing(amount=number)))
    shape = bulk.shape_of(THINGS, *KEY, more=THINGS.c.amount)
    change, rows = (("amount", "{w.more}"),), [("o", 1, number), ("o", 2, 0)]
    with pytest.raises(OverflowError):
        await database.write(lambda c: bulk.update(c, THINGS, shape, KEY, change, rows))


async def test_a_text_that_is_too_long_is_refused_and_never_found(database: db.Database) -> None:
    """The server would cut it in a comparison."""
    owner = "o" * 64
    await database.write(lambda c: put(c, thing(owner)))
    with pytest.raises(sa.exc.DataError):
        await database.write(lambda c: put(c, thing(owner + "x", number=2)))
    shape = bulk.shape_of(THINGS, "owner", "words")
    query = "SELECT t.thing_no FROM {w} CROSS JOIN contract_things t ON t.owner = {w.owner}"
    found = await database.read(
        lambda c: bulk.select(c, shape, query, [(owner + "xyz", ""), (owner, "")])
    )
    assert len(found) == 1
    change = bulk.assign("words")
    rows = [(owner, "y" * 501), ("other", "")]
    with pytest.raises(sa.exc.DataError):
        await database.write(lambda c: bulk.update(c, THINGS, shape, ("owner",), change, rows))
