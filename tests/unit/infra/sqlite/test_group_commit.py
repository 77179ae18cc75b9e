"""Transactions that wait together share a commit, and nothing else."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from internal.infra import failpoints
from internal.infra.sqlite import database as sqlite
from internal.kernel import errors

Write = Callable[[sa.Connection], int]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[sqlite.SqliteDatabase]:
    opened = sqlite.SqliteDatabase(tmp_path / "group.db")
    await opened.write(lambda c: c.exec_driver_sql("CREATE TABLE t (n INTEGER PRIMARY KEY)"))
    yield opened
    failpoints.arm({})
    await opened.close()


def insert(number: int) -> Write:
    def work(connection: sa.Connection) -> int:
        connection.exec_driver_sql("INSERT INTO t VALUES (?)", (number,))
        return number

    return work


async def numbers(database: sqlite.SqliteDatabase) -> list[int]:
    rows = await database.read(lambda c: c.exec_driver_sql("SELECT n FROM t ORDER BY n").all())
    return [row[0] for row in rows]


class Blocker:
    """Holds the writer thread, so that transactions that come meanwhile wait together."""

    def __init__(self) -> None:
        self.is_held, self.released = threading.Event(), threading.Event()

    def hold(self, _connection: sa.Connection) -> None:
        self.is_held.set()
        self.released.wait(10)


async def together(database: sqlite.SqliteDatabase, *works: Write) -> list[int | BaseException]:
    """Queue the works while the writer is busy; return each result or error."""
    blocker = Blocker()
    first = asyncio.create_task(database.write(blocker.hold))
    await asyncio.to_thread(blocker.is_held.wait, 10)
    tasks = [asyncio.create_task(database.write(work)) for work in works]
    await asyncio.sleep(0.01)
    blocker.released.set()
    await first
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_many_share_one_commit(database: sqlite.SqliteDatabase) -> None:
    commits = []
    sa.event.listen(database.engine, "commit", lambda _connection: commits.append(1))
    assert await together(database, *map(insert, range(20))) == list(range(20))
    assert await numbers(database) == list(range(20))
    assert len(commits) <= 3  # the blocker's, and one for the twenty (or two, if some came late)


async def test_a_failed_transaction_does_not_affect_others(database: sqlite.SqliteDatabase) -> None:
    def broken(connection: sa.Connection) -> int:
        insert(100)(connection)
        raise ValueError("a bug")

    one, two, bug, three = await together(database, insert(1), insert(1), broken, insert(3))
    assert (one, three) == (1, 3)
    assert isinstance(two, sa.exc.IntegrityError)
    assert isinstance(bug, ValueError)
    assert await numbers(database) == [1, 3]


async def test_a_transaction_that_was_ended_is_tried_again_by_all(
    database: sqlite.SqliteDatabase,
) -> None:
    tries = []

    def ended_once(connection: sa.Connection) -> int:
        tries.append(1)
        if len(tries) == 1:
            connection.exec_driver_sql("ROLLBACK")  # as SQLite does on a full disk
            raise OSError("disk full")
        return insert(2)(connection)

    assert await together(database, insert(1), ended_once, insert(3)) == [1, 2, 3]
    assert await numbers(database) == [1, 2, 3]


async def test_a_commit_that_fails_fails_all_and_is_tried_again(
    database: sqlite.SqliteDatabase,
) -> None:
    failpoints.arm(failpoints.parse("db.before_commit=raise@2"))
    assert await together(database, insert(1), insert(2)) == [1, 2]
    assert await numbers(database) == [1, 2]


async def test_a_closed_database_has_finished_queued_transactions(tmp_path: Path) -> None:
    database = sqlite.SqliteDatabase(tmp_path / "close.db")
    await database.write(lambda c: c.exec_driver_sql("CREATE TABLE t (n INTEGER PRIMARY KEY)"))
    tasks = [asyncio.create_task(database.write(insert(n))) for n in range(50)]
    await asyncio.sleep(0)
    await database.close()
    assert await asyncio.gather(*tasks) == list(range(50))


async def test_a_file_that_cannot_be_opened_is_an_outage(tmp_path: Path) -> None:
    database = sqlite.SqliteDatabase(tmp_path / "no" / "such" / "folder.db")
    with pytest.raises(errors.DatabaseAway):
        await database.write(insert(1))
    await database.close()
