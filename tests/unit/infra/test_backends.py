"""Backends: the settings decide which database and which bus an engine gets."""

import contextlib
from pathlib import Path

import pytest
import sqlalchemy as sa

from internal.infra import backends, bus, fixed_settings, migrate, settings
from internal.infra.data_folder import files
from internal.infra.embedded_bus import bus as embedded_bus
from internal.infra.mysql import database as mysql
from internal.infra.sqlite import database as sqlite
from internal.kernel import errors
from tests.support import no_pulsar


def embedded(folder: Path) -> settings.Settings:
    return settings.load(storage={"data_dir": folder})


def full(folder: Path) -> settings.Settings:
    options = settings.load(storage={"data_dir": folder, "engine": "full"})
    return options.model_copy(update={"pulsar": no_pulsar.NOWHERE})


async def test_an_embedded_engine_has_everything_in_one_file(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        opened = await backends.opened(embedded(tmp_path), stack)
        assert isinstance(opened.database, sqlite.SqliteDatabase)
        assert isinstance(opened.bus, embedded_bus.EmbeddedBus)
        assert await opened.database.read(migrate.current) == migrate.newest()
        await opened.bus.ensure({"t": ["s"]})
        await opened.bus.publish([bus.Outgoing("t", "k", b"x")])
        assert await opened.bus.backlog("t", "s") == 1
    assert (tmp_path / files.DATABASE).is_file()
    with pytest.raises(errors.BusAway, match="closed"):
        await opened.bus.publish([])


async def test_a_reopened_engine_finds_what_it_had(tmp_path: Path) -> None:
    for backlog in (0, 1):
        async with contextlib.AsyncExitStack() as stack:
            opened = await backends.opened(embedded(tmp_path), stack)
            await opened.bus.ensure({"t": ["s"]})
            assert await opened.bus.backlog("t", "s") == backlog
            await opened.bus.publish([bus.Outgoing("t", "k", b"x")])


async def test_the_database_can_be_opened_alone(tmp_path: Path) -> None:
    database = backends.open_database(embedded(tmp_path), readers=1)
    assert await database.read(lambda c: c.execute(sa.text("SELECT 1")).scalar()) == 1
    await database.close()


async def test_api_keys_have_connections_of_their_own(tmp_path: Path) -> None:
    for options, is_own in ((embedded(tmp_path), False), (full(tmp_path), True)):
        database = backends.open_database(options)
        keys = backends.open_key_database(options, database)
        assert (keys is not database) == is_own
        if is_own:
            await keys.close()
        await database.close()


async def test_a_full_engine_needs_its_servers(tmp_path: Path) -> None:
    database = backends.open_database(full(tmp_path))
    assert isinstance(database, mysql.MysqlDatabase)
    with pytest.raises(errors.DatabaseAway):
        await backends.open_bus(full(tmp_path), database)
    await database.close()
    other = backends.open_database(embedded(tmp_path))
    await other.write(fixed_settings.FIXED_SETTINGS.create)
    with pytest.raises(errors.BusAway):
        await backends.open_bus(full(tmp_path), other)
    await other.close()


async def test_a_start_with_other_keys_is_refused(tmp_path: Path) -> None:
    options = embedded(tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        await backends.opened(options, stack)
    changed = settings.TopicSettings(shard_keys=32)
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(errors.Misconfigured, match=r"SHARD_KEYS is 32, .* made with 16"):
            await backends.opened(options.model_copy(update={"topics": changed}), stack)
