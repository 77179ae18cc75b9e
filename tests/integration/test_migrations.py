"""Migrations lead from nothing to the tables that the code knows, and survive being interrupted."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import autogenerate
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from internal.auth import store as _auth
from internal.catalogue import store as _catalogue
from internal.infra import db, migrate
from internal.inventory import store as _inventory
from internal.ledger import store as _ledger
from internal.orders import operators as _operators
from internal.orders import receipts as _receipts
from internal.orders import store as _orders
from internal.payments import store as _payments
from internal.pipeline import attempts as _attempts
from internal.pipeline import dead_letters as _dead_letters
from tests.support import belt, shop

ROOMS = (
    _attempts,
    _auth,
    _catalogue,
    _dead_letters,
    _inventory,
    _ledger,
    _operators,
    _orders,
    _payments,
    _receipts,
)
"""Every room with tables: whoever is imported has added them to db.METADATA."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'souk.db'}")
    yield engine
    engine.dispose()


def run(engine: sa.Engine, work: Callable[[sa.Connection], object]) -> None:
    with engine.begin() as connection:
        work(connection)


def differences(connection: sa.Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(autogenerate.compare_metadata(context, db.METADATA))


def schema(connection: sa.Connection) -> dict[str, str]:
    """Return what SQLite keeps of every table and index."""
    query = sa.text(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'"
    )
    return {name: " ".join(sql.split()) for name, sql in connection.execute(query)}


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


def test_keys_checks_and_indexes_are_those_that_the_code_knows(engine: sa.Engine) -> None:
    run(engine, migrate.upgrade)
    with engine.connect() as migrated, belt.books() as made:
        assert schema(migrated) == schema(made)


def test_a_difference_would_be_found(engine: sa.Engine) -> None:
    run(engine, migrate.upgrade)
    run(engine, lambda c: c.exec_driver_sql("DROP INDEX orders_due"))
    run(engine, lambda c: c.exec_driver_sql("ALTER TABLE orders DROP COLUMN trace_id"))
    with engine.connect() as connection:
        assert len(differences(connection)) == 2


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
def test_an_interrupted_upgrade_is_taken_up_again(engine: sa.Engine, left: int) -> None:
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
        with belt.books() as made:
            assert schema(connection) == schema(made)


def test_an_interrupted_downgrade_is_taken_up_again(engine: sa.Engine) -> None:
    run(engine, migrate.upgrade)
    run(engine, lambda c: c.exec_driver_sql("DROP TABLE dead_letters"))
    run(engine, lambda c: migrate.downgrade(c, "base"))
    with engine.connect() as connection:
        assert tables(connection) == set()


async def test_an_upgrade_is_one_transaction_of_the_database(tmp_path: Path) -> None:
    """What fails on the way leaves nothing behind."""
    database = db.SqliteDatabase(tmp_path / "souk.db")

    def fail(connection: sa.Connection) -> None:
        migrate.upgrade(connection)
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        await database.write(fail)
    assert await database.read(tables) == set()
    await database.write(migrate.upgrade)
    assert await database.read(differences) == []
    await database.close()
