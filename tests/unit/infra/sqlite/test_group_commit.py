"""Transactions that wait together share a commit, and nothing else."""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from internal.infra import failpoints
from internal.infra.sqlite import database as sqlite
from internal.infra.sqlite import group_commit
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
    """Holds the writer's thread, so that transactions that come meanwhile wait together."""

    def __init__(self) -> None:
        self.is_held, self.released = threading.Event(), threading.Event()

    def hold(self, _connection: sa.Connection) -> None:
        self.is_held.set()
        self.released.wait(10)


async def together(
    database: sqlite.SqliteDatabase, *works: Write, is_quick: bool
) -> list[int | BaseException]:
    """Queue the works while the writer is busy; return each result or error."""
    blocker = Blocker()
    first = asyncio.create_task(database.write(blocker.hold))
    await asyncio.to_thread(blocker.is_held.wait, 10)
    tasks = [asyncio.create_task(database.write(work, is_quick=is_quick)) for work in works]
    await asyncio.sleep(0.01)  # all are queued
    blocker.released.set()
    await first
    return await asyncio.gather(*tasks, return_exceptions=True)


quick_and_not = pytest.mark.parametrize("is_quick", [False, True])


@contextlib.asynccontextmanager
async def traced(database: sqlite.SqliteDatabase) -> AsyncIterator[list[str]]:
    """Yield a list of what ends the writer's transactions, this one's own end first."""
    ends: list[str] = []

    def note(statement: str) -> None:
        if statement in {"COMMIT", "ROLLBACK"}:
            ends.append(statement)

    await database.write(lambda c: raw_of(c).set_trace_callback(note))
    yield ends
    await database.write(lambda c: raw_of(c).set_trace_callback(None))


def raw_of(connection: sa.Connection) -> Any:  # noqa: ANN401 - the driver's own
    return connection.connection.dbapi_connection


@quick_and_not
async def test_many_share_one_commit(database: sqlite.SqliteDatabase, *, is_quick: bool) -> None:
    async with traced(database) as ends:
        done = await together(database, *map(insert, range(20)), is_quick=is_quick)
    assert done == list(range(20))
    assert await numbers(database) == list(range(20))
    assert ends == ["COMMIT"] * 3  # of `trace` itself, of the blocker, and of the twenty


@quick_and_not
async def test_a_failed_transaction_does_not_affect_others(
    database: sqlite.SqliteDatabase, *, is_quick: bool
) -> None:
    def broken(connection: sa.Connection) -> int:
        insert(100)(connection)
        raise ValueError("a bug")

    works = (insert(1), insert(1), broken, insert(3))
    one, two, bug, three = await together(database, *works, is_quick=is_quick)
    assert (one, three) == (1, 3)
    assert isinstance(two, sa.exc.IntegrityError)
    assert isinstance(bug, ValueError)
    assert await numbers(database) == [1, 3]


@quick_and_not
async def test_a_transaction_that_was_ended_is_tried_again_by_all(
    database: sqlite.SqliteDatabase, *, is_quick: bool
) -> None:
    tries = []

    def ended_once(connection: sa.Connection) -> int:
        tries.append(1)
        if len(tries) == 1:
            connection.exec_driver_sql("ROLLBACK")  # as SQLite does on a full disk
            raise OSError("disk full")
        return insert(2)(connection)

    works = (insert(1), ended_once, insert(3))
    assert await together(database, *works, is_quick=is_quick) == [1, 2, 3]
    assert await numbers(database) == [1, 2, 3]


@quick_and_not
async def test_a_commit_that_fails_fails_all_and_is_tried_again(
    database: sqlite.SqliteDatabase, *, is_quick: bool
) -> None:
    failpoints.arm(failpoints.parse("db.before_commit=raise@2"))
    assert await together(database, insert(1), insert(2), is_quick=is_quick) == [1, 2]
    assert await numbers(database) == [1, 2]


@quick_and_not
async def test_a_closed_database_has_finished_queued_transactions(
    tmp_path: Path, *, is_quick: bool
) -> None:
    database = sqlite.SqliteDatabase(tmp_path / "close.db")
    await database.write(lambda c: c.exec_driver_sql("CREATE TABLE t (n INTEGER PRIMARY KEY)"))
    tasks = [asyncio.create_task(database.write(insert(n), is_quick=is_quick)) for n in range(50)]
    await asyncio.sleep(0)
    await database.close()
    assert await asyncio.gather(*tasks) == list(range(50))


async def test_only_quick_transactions_run_on_the_loop(database: sqlite.SqliteDatabase) -> None:
    here = threading.get_ident()
    assert await database.write(lambda _: threading.get_ident(), is_quick=True) == here
    assert await database.write(lambda _: threading.get_ident()) != here


async def test_a_quick_transaction_waits_for_another_process_on_the_thread(
    database: sqlite.SqliteDatabase, tmp_path: Path
) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "group.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(database.write(insert(1), is_quick=True))
        for _ in range(50):  # the loop goes on
            await asyncio.sleep(0)
        assert not task.done()
        other.execute("COMMIT")
        assert await task == 1


async def test_a_quick_transaction_that_cannot_begin_is_told_why(tmp_path: Path) -> None:
    """No lock is in the way: waiting for one would never end."""
    database = sqlite.SqliteDatabase(tmp_path / "closed.db")
    await database.write(lambda _: None)
    with pytest.raises(sqlite3.ProgrammingError):
        await database.write(lambda c: raw_of(c).close())
    async with asyncio.timeout(10):
        with pytest.raises(sqlite3.ProgrammingError):
            await database.write(insert(1), is_quick=True)


async def test_the_loop_has_a_turn_between_quick_transactions(
    database: sqlite.SqliteDatabase,
) -> None:
    def long(_connection: sa.Connection) -> int:
        time.sleep(group_commit.TURN_S)
        return 0

    async with traced(database) as ends:
        await together(database, long, long, long, is_quick=True)
    assert ends == ["COMMIT"] * 5  # of `trace` itself, of the blocker, and of each


async def test_a_file_that_cannot_be_opened_is_an_outage(tmp_path: Path) -> None:
    database = sqlite.SqliteDatabase(tmp_path / "no" / "such" / "folder.db")
    with pytest.raises(errors.DatabaseAway):
        await database.write(insert(1))
    await database.close()
