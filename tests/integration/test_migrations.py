"""Migrations lead from nothing to the tables that the code knows, and survive being interrupted."""

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import autogenerate
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from internal.auth import actors as _actors
from internal.auth import audit_log as _operators
from internal.auth import store as _auth
from internal.catalogue import currencies as _currencies
from internal.catalogue import store as _catalogue
from internal.infra import columns, db, fixed_settings, migrate, settings
from internal.infra.mysql import database as mysql
from internal.infra.sqlite import database as sqlite
from internal.inventory import exceptions as _exceptions
from internal.inventory import store as _inventory
from internal.kernel import errors, money
from internal.ledger import accounts as _accounts
from internal.ledger import balances as _balances
from internal.ledger import business_days as _business_days
from internal.ledger import store as _ledger
from internal.orders import parts as _parts
from internal.orders import receipt_numbers as _receipts
from internal.orders import refusals as _refusals
from internal.orders import tables as _orders
from internal.payments import gateway_tables as _gateway_tables
from internal.payments import order_tenders as _tenders
from internal.payments import store as _payments
from internal.payments import transactions as _transactions
from internal.pipeline import appointments as _appointments
from internal.pipeline import crash_counts as _attempts
from internal.pipeline import dead_letters as _dead_letters
from internal.pipeline import journal as _journal
from internal.pipeline import outbox as _outbox
from internal.privacy import store as _private_values
from internal.requests import store as _requests
from internal.returns import store as _returns
from tests.support import mariadb, shop, staged_orders

ROOMS = (
    _accounts,
    _actors,
    _appointments,
    _attempts,
    _auth,
    _balances,
    _business_days,
    _catalogue,
    _currencies,
    _dead_letters,
    _exceptions,
    fixed_settings,
    _gateway_tables,
    _inventory,
    _journal,
    _ledger,
    _operators,
    _orders,
    _outbox,
    _parts,
    _payments,
    _private_values,
    _receipts,
    _refusals,
    _requests,
    _returns,
    _tenders,
    _transactions,
)
"""Every room with tables: whoever is imported has added them to db.METADATA."""


@pytest.fixture(params=["sqlite", "mysql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    with contextlib.ExitStack() as stack:
        if request.param == "sqlite":
            engine = sa.create_engine(f"sqlite:///{tmp_path / 'souk.db'}")
        else:
            engine = stack.enter_context(fresh(request.getfixturevalue("mysql_server")))
        yield engine
        engine.dispose()


@contextlib.contextmanager
def fresh(server: mariadb.Server) -> Iterator[sa.Engine]:
    with server.database() as options:
        yield server.engine(options.database)


@pytest.fixture
def expected(request: pytest.FixtureRequest, engine: sa.Engine) -> Iterator[dict[str, str]]:
    """What the code itself would make of an empty database of the same kind."""
    if engine.dialect.name == "sqlite":
        with staged_orders.database() as made:
            yield schema(made)
        return
    with fresh(request.getfixturevalue("mysql_server")) as other, other.begin() as made:
        db.METADATA.create_all(made)
        yield schema(made)


def run(engine: sa.Engine, work: Callable[[sa.Connection], object]) -> None:
    with engine.begin() as connection:
        work(connection)


def differences(connection: sa.Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(autogenerate.compare_metadata(context, db.METADATA))


def schema(connection: sa.Connection) -> dict[str, str]:
    """Return what the database keeps of every table and index."""
    if connection.dialect.name == "sqlite":
        query = sa.text(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type <> 'trigger'"
            " AND name NOT LIKE 'alembic%'"
        )
        return {name: " ".join(sql.split()) for name, sql in connection.execute(query)}
    return {name: _shown(connection, name) for name in tables(connection)}


def _shown(connection: sa.Connection, table: str) -> str:
    """Return the lines that describe the table, its indexes in no order."""
    (_, sql) = connection.exec_driver_sql(f"SHOW CREATE TABLE {table}").one()
    lines = re.sub(r"AUTO_INCREMENT=\d+ ", "", sql).splitlines()
    return "\n".join(sorted(line.rstrip(",") for line in lines))


def tables(connection: sa.Connection) -> set[str]:
    return set(sa.inspect(connection).get_table_names()) - {"alembic_version"}


def test_every_room_with_tables_is_known_here() -> None:
    root = Path(migrate.__file__).parents[1]
    with_tables = {
        f"internal.{path.relative_to(root).with_suffix('').as_posix().replace('/', '.')}"
        for path in root.rglob("*.py")
        if "\n    db.METADATA,\n" in path.read_text()
    }
    assert with_tables == {room.__name__ for room in ROOMS}


def test_an_upgrade_makes_the_tables_that_the_code_knows(engine: sa.Engine) -> None:
    run(engine, migrate.upgrade)
    with engine.connect() as connection:
        assert migrate.current(connection) == migrate.newest()
        assert differences(connection) == []
        assert tables(connection) == set(db.METADATA.tables)


def test_an_upgrade_writes_down_the_decimals_of_every_currency(engine: sa.Engine) -> None:
    run(engine, migrate.upgrade)
    with engine.connect() as connection:
        rows = connection.execute(sa.select(_currencies.CURRENCIES)).all()
    assert {row.currency: row.exponent for row in rows} == money.EXPONENTS


def test_keys_checks_and_indexes_are_those_that_the_code_knows(
    engine: sa.Engine, expected: dict[str, str]
) -> None:
    run(engine, migrate.upgrade)
    with engine.connect() as migrated:
        assert schema(migrated) == expected


APPEND_ONLY = [table for table in db.METADATA.sorted_tables if table.info == columns.APPEND_ONLY]


@pytest.mark.parametrize("table", APPEND_ONLY, ids=lambda table: table.name)
def test_rows_of_append_only_tables_can_be_added_and_never_changed(
    engine: sa.Engine, table: sa.Table
) -> None:
    run(engine, migrate.upgrade)
    row = {c.name: 1 if isinstance(c.type, sa.BigInteger) else "x" for c in table.columns}
    run(engine, lambda c: c.execute(table.insert().values(row)))
    some_column = next(c for c in table.columns if not c.primary_key)
    other = 2 if isinstance(some_column.type, sa.BigInteger) else "y"
    changes = (table.update().values({some_column.name: other}), table.delete())
    for change in changes:
        with pytest.raises(sa.exc.DBAPIError, match=f"{table.name} is append-only"):
            run(engine, lambda c, change=change: c.execute(change))  # type: ignore[misc]
    with engine.connect() as connection:
        count = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar()
        assert count == 1


def test_the_close_of_a_day_numbers_entries_once(engine: sa.Engine) -> None:
    """Nothing else changes with the number, and it stays."""
    run(engine, migrate.upgrade)
    table = _ledger.LEDGER_ENTRIES
    row = {c.name: 1 if isinstance(c.type, sa.BigInteger) else "x" for c in table.columns}
    run(engine, lambda c: c.execute(table.insert().values(row | {"journal_no": None})))

    def update(**values: object) -> None:
        run(engine, lambda c: c.execute(table.update().values(values)))

    others = [c.name for c in table.columns if c.name != "journal_no"]
    for name in others:
        value = 2 if isinstance(table.c[name].type, sa.BigInteger) else "y"
        with pytest.raises(sa.exc.DBAPIError, match="ledger_entries is append-only"):
            update(journal_no=7, **{name: value})
    update(journal_no=7)
    for number in (8, None):
        with pytest.raises(sa.exc.DBAPIError, match="ledger_entries is append-only"):
            update(journal_no=number)
    with engine.connect() as connection:
        assert connection.execute(sa.select(table)).mappings().one() == row | {"journal_no": 7}


def test_a_difference_would_be_found(engine: sa.Engine) -> None:
    run(engine, migrate.upgrade)
    run(engine, lambda c: _index(c, "orders_due").drop(c))
    run(engine, lambda c: c.exec_driver_sql("ALTER TABLE orders DROP COLUMN trace_id"))
    with engine.connect() as connection:
        assert len(differences(connection)) == 2


def _index(connection: sa.Connection, name: str) -> sa.Index:
    table = sa.Table("orders", sa.MetaData(), autoload_with=connection)
    return next(index for index in table.indexes if index.name == name)


def test_an_upgrade_of_the_newest_changes_nothing(engine: sa.Engine) -> None:
    run(engine, migrate.upgrade)
    run(engine, shop.open_for_business)
    with engine.connect() as connection:
        before = schema(connection)
    run(engine, migrate.upgrade)
    run(engine, migrate.upgrade)
    with engine.connect() as connection:
        assert schema(connection) == before
        count = connection.execute(sa.select(sa.func.count()).select_from(_catalogue.PRODUCTS))
        assert count.scalar() == 12


def test_a_downgrade_leaves_nothing(engine: sa.Engine) -> None:
    run(engine, migrate.upgrade)
    run(engine, lambda c: migrate.downgrade(c, "base"))
    with engine.connect() as connection:
        assert migrate.current(connection) is None
        assert tables(connection) == set()
    run(engine, migrate.upgrade)
    with engine.connect() as connection:
        assert differences(connection) == []


def test_every_revision_goes_up_and_down(engine: sa.Engine) -> None:
    script = ScriptDirectory(str(migrate.FOLDER))
    revisions = [revision.revision for revision in script.walk_revisions()][::-1]
    assert revisions[-1] == migrate.newest()
    assert script.get_heads() == [migrate.newest()]
    for place, revision in enumerate(revisions):
        run(engine, lambda c, revision=revision: migrate.upgrade(c, revision))  # type: ignore[misc]
        below = revisions[place - 1] if place else "base"
        run(engine, lambda c, below=below: migrate.downgrade(c, below))  # type: ignore[misc]
        run(engine, lambda c, revision=revision: migrate.upgrade(c, revision))  # type: ignore[misc]
        with engine.connect() as connection:
            assert migrate.current(connection) == revision


@pytest.mark.parametrize("left", range(0, 15, 3))
def test_an_interrupted_upgrade_is_taken_up_again(
    engine: sa.Engine, expected: dict[str, str], left: int
) -> None:
    """MySQL commits every CREATE TABLE by itself: so many tables may stand, and no revision."""
    run(engine, migrate.upgrade)
    with engine.begin() as connection:
        for name in sorted(db.METADATA.tables)[left:]:
            connection.exec_driver_sql(f"DROP TABLE {name}")
        connection.exec_driver_sql("DELETE FROM alembic_version")
    run(engine, migrate.upgrade)
    with engine.connect() as connection:
        assert migrate.current(connection) == migrate.newest()
        assert differences(connection) == []
        assert schema(connection) == expected


def test_an_interrupted_downgrade_is_taken_up_again(engine: sa.Engine) -> None:
    run(engine, migrate.upgrade)
    run(engine, lambda c: c.exec_driver_sql("DROP TABLE dead_letters"))
    run(engine, lambda c: migrate.downgrade(c, "base"))
    with engine.connect() as connection:
        assert tables(connection) == set()


async def test_an_upgrade_is_one_transaction_of_the_database(tmp_path: Path) -> None:
    """What fails on the way leaves nothing behind."""
    database = sqlite.SqliteDatabase(tmp_path / "souk.db")

    def fail(connection: sa.Connection) -> None:
        migrate.upgrade(connection)
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        await database.write(fail)
    assert await database.read(tables) == set()
    await database.write(migrate.upgrade)
    assert await database.read(differences) == []
    await database.close()


@pytest.mark.parametrize("statement", [1, 2, 9, 20])
def test_an_upgrade_that_failed_is_taken_up_again(
    engine: sa.Engine, expected: dict[str, str], statement: int
) -> None:
    """After any statement: what stands then, stands."""
    seen = 0

    def fail(*arguments: object) -> None:
        nonlocal seen
        seen += str(arguments[2]).lstrip().startswith("CREATE")
        if seen == statement:
            raise ConnectionError

    sa.event.listen(engine, "before_cursor_execute", fail)
    with pytest.raises(ConnectionError):
        run(engine, migrate.upgrade)
    sa.event.remove(engine, "before_cursor_execute", fail)
    run(engine, migrate.upgrade)
    with engine.connect() as connection:
        assert migrate.current(connection) == migrate.newest()
        assert schema(connection) == expected


async def test_many_may_upgrade_at_once(mysql_options: settings.MysqlSettings) -> None:
    databases = [mysql.MysqlDatabase(mysql_options) for _ in range(4)]
    await asyncio.gather(*(database.write(migrate.upgrade) for database in databases))
    for database in databases:
        assert await database.read(migrate.current) == migrate.newest()
        await database.close()


async def test_an_upgrade_that_fails_lets_others_go_on(
    mysql_options: settings.MysqlSettings,
) -> None:
    database, another = (mysql.MysqlDatabase(mysql_options) for _ in range(2))
    with pytest.raises(errors.Misconfigured, match="does not know"):
        await database.write(lambda c: migrate.upgrade(c, "9999"))
    await another.write(migrate.upgrade)
    assert await another.read(differences) == []
    await database.close()
    await another.close()
