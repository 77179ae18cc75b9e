"""SQLite keeps the contract of every database, and a few guarantees of its own."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from internal.infra import db
from internal.infra.sqlite import database as sqlite
from internal.kernel import errors
from tests.contract import database_contract
from tests.contract.database_contract import everything, opened, put, thing


class FileHome:
    """A file; the wait for its lock is short."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> sqlite.SqliteDatabase:
        return sqlite.SqliteDatabase(self.path, busy_timeout_ms=20)


@pytest.fixture
def home(tmp_path: Path) -> FileHome:
    return FileHome(tmp_path / "souk.db")


@pytest.fixture
async def database(home: FileHome) -> AsyncIterator[db.Database]:
    async with opened(home) as database:
        yield database


class TestSqlite(database_contract.DatabaseContract):
    """SQLite in a file."""


class QuickDatabase(sqlite.SqliteDatabase):
    """Takes every transaction for a quick one."""

    async def write(self, work: db.Work[db.T], *, is_quick: bool = True) -> db.T:
        """See Database.write."""
        return await super().write(work, is_quick=is_quick)


class QuickHome(FileHome):
    """A file whose transactions run on the loop."""

    def open(self) -> sqlite.SqliteDatabase:
        return QuickDatabase(self.path, busy_timeout_ms=20)


class TestSqliteOnTheLoop(database_contract.DatabaseContract):
    """The same with transactions that promise to be quick."""

    @pytest.fixture
    def home(self, tmp_path: Path) -> QuickHome:
        return QuickHome(tmp_path / "souk.db")


def locked(home: FileHome) -> sqlite3.Connection:
    """Hold the file's write lock, as another process may."""
    connection = sqlite3.connect(home.path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return connection


async def test_a_lock_that_is_released_in_time_is_waited_for(
    home: FileHome, database: db.Database
) -> None:
    holder = locked(home)
    writing = asyncio.create_task(database.write(lambda c: put(c, thing())))
    await asyncio.sleep(0.05)
    assert await database.read(everything) == []
    holder.rollback()
    holder.close()
    assert await writing == 1


async def test_a_lock_that_is_not_released_is_an_outage(
    home: FileHome, database: db.Database
) -> None:
    holder = locked(home)
    with pytest.raises(errors.DatabaseAway, match="locked"):
        await database.write(lambda c: put(c, thing()))
    holder.rollback()
    holder.close()
    await database.write(lambda c: put(c, thing()))


async def test_a_missing_folder_is_an_outage(tmp_path: Path) -> None:
    database = sqlite.SqliteDatabase(tmp_path / "nowhere" / "souk.db")
    with pytest.raises(errors.DatabaseAway, match="unable to open"):
        await database.read(everything)
    await database.close()


async def test_committed_rows_survive_on_the_disk(home: FileHome, database: db.Database) -> None:
    await database.write(lambda c: put(c, thing()))
    another = home.open()
    assert await another.read(everything) == [thing()]
    pragmas = ("journal_mode", "synchronous", "busy_timeout")
    set_to = await another.read(
        lambda c: [c.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    )
    assert set_to == ["wal", 2, 20]
    await another.close()


def test_an_old_sqlite_stops_the_start() -> None:
    with pytest.raises(errors.Misconfigured, match="needs"):
        sqlite.check_sqlite_version((3, 7, 17))
    sqlite.check_sqlite_version(sqlite.SQLITE_OLDEST)


def test_an_unknown_dialect_is_named() -> None:
    engine = sa.create_mock_engine("postgresql://", lambda *_: None)
    with pytest.raises(errors.Misconfigured, match="postgresql"):
        put(engine, thing())  # type: ignore[arg-type]
