"""An embedded engine's data folder in an operator's hands: lost, damaged, older, open to others.

Every fault stops the start in one line that says what to do, and none makes a new shop.
"""

import asyncio
import contextlib
import os
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from internal.cli import main
from internal.client import access, client
from internal.host import demo_key, engine
from internal.infra import schema, settings
from internal.infra.data_folder import files, history, private
from internal.infra.sqlite import integrity, used_folder
from internal.kernel import errors
from internal.payments.gateways import simulator
from internal.wire.souk.v1 import order_pb2, order_service_pb2

ANSWER_S = 30.0
DATABASES = (files.DATABASE, simulator.FILE)
PAGE_BYTES = 4_096


def options(folder: Path) -> settings.Settings:
    return settings.load(storage={"data_dir": folder}, intake={"port": 0}, metrics={"port": 0})


@contextlib.asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[engine.Engine, client.Client]]:
    """Run an engine with the demo shop, and a client of it."""
    async with engine.Engine(options(folder)).running() as running:
        key = await demo_key.find_or_make(running.database, folder)
        way = access.Access(f"127.0.0.1:{running.port}", key.text)
        async with contextlib.aclosing(client.Client(way)) as connection:
            yield running, connection


async def start(folder: Path) -> None:
    async with served(folder):
        pass


async def place(connection: client.Client, order_id: str) -> client.Answer:
    """Place an order that pays by card, and wait for its end."""
    draft = order_pb2.OrderDraft(order_id=order_id, store_id="berlin", currency="EUR")
    draft.lines.add(sku="COFFEE-250", quantity_milli=1_000)
    draft.tenders.add().card.token = "tok_ok"
    request = order_service_pb2.SubmitOrderRequest(
        order=draft, wait_for=order_service_pb2.WAIT_FOR_FINALIZED
    )
    return await connection.submit(order_id, request.SerializeToString(), ANSWER_S)


async def fill(folder: Path, orders: int) -> None:
    async with served(folder) as (_, connection):
        for number in range(orders):
            assert (await place(connection, f"o-{number}")).is_ok


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with some orders, closed well; to be copied."""
    folder = tmp_path_factory.mktemp("used") / "data"
    asyncio.run(fill(folder, 5))
    return folder


@pytest.fixture
def folder(used: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(used, tmp_path / "data"))


class Said(str):
    """What a command printed."""

    code: int

    __slots__ = ("code",)


@pytest.fixture
def souk(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run a command; its output must never be a traceback."""

    def run(*arguments: object) -> Said:
        capsys.readouterr()
        code = main.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        said = Said(captured.out + captured.err)
        said.code = code
        assert "Traceback" not in said
        return said

    return run


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def open_to_others(folder: Path, *more: str) -> None:
    folder.chmod(0o755)
    for name in more:
        (folder / name).touch()
    for file in folder.iterdir():
        file.chmod(0o644)


@contextlib.contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


async def refusal(folder: Path) -> str:
    """Start an engine that must not start; nothing in the folder may be new or changed."""
    key = (folder / files.DEMO_KEY).read_text()
    before = {name: (folder / name).exists() for name in DATABASES}
    with pytest.raises((errors.DatabaseDamaged, errors.Misconfigured)) as raised:
        await start(folder)
    assert (folder / files.DEMO_KEY).read_text() == key
    assert {name: (folder / name).exists() for name in DATABASES} == before
    assert "\n" not in str(raised.value)
    return str(raised.value)


class TestModes:
    """Only the owner can read the folder and its files."""

    async def test_whatever_the_umask_is(self, tmp_path: Path) -> None:
        with umask(0):
            async with served(tmp_path / "data") as (_, connection):
                assert (await place(connection, "o-1")).is_ok
                found = modes(tmp_path / "data")
        assert modes(tmp_path)["data"] == private.FOLDER_MODE
        assert {f"{files.DATABASE}-wal", f"{simulator.FILE}-shm", files.DEMO_KEY} <= found.keys()
        assert set(found.values()) == {private.FILE_MODE}

    async def test_an_older_folder_is_closed(self, folder: Path) -> None:
        open_to_others(folder, "souk.2026-01-01.log", "notes.txt")
        await start(folder)
        assert modes(folder.parent)["data"] == private.FOLDER_MODE
        found = modes(folder)
        assert found.pop("notes.txt") == 0o644
        assert set(found.values()) == {private.FILE_MODE}

    def test_a_shared_folder_stays_as_it_is(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o1777)
        private.make_folder(tmp_path)
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777


class TestLoss:
    """A used folder never becomes a new shop."""

    @pytest.mark.parametrize(
        ("name", "keeps_history"),
        [(files.DATABASE, True), (files.DATABASE, False), (simulator.FILE, True)],
    )
    @pytest.mark.parametrize("is_emptied", [True, False])
    async def test_of_a_database(
        self,
        folder: Path,
        souk: Callable[..., Said],
        name: str,
        *,
        keeps_history: bool,
        is_emptied: bool,
    ) -> None:
        if not keeps_history:  # as in a folder of an older Souk
            (folder / files.HISTORY).unlink()
        (folder / name).unlink()
        if is_emptied:
            (folder / name).touch()
        told = await refusal(folder)
        assert str(folder / name) in told
        assert ("empty" if is_emptied else "missing") in told
        assert "souk restore" in told
        said = await asyncio.to_thread(souk, "migrate", "--data", folder)
        assert (said.code, told in said) == (3, True)

    async def test_of_the_log_that_belongs_to_the_database(self, tmp_path: Path) -> None:
        """As after kill -9: the copy has what the file alone holds."""
        async with served(tmp_path / "data") as (running, connection):
            for number in range(3):
                assert (await place(connection, f"o-{number}")).is_ok
            await asyncio.sleep(0)
            killed = Path(shutil.copytree(tmp_path / "data", tmp_path / "killed"))
            newest = await running.database.read(lambda c: c.execute(sa.text(
                "SELECT seq FROM sqlite_sequence WHERE name = 'bus_messages'"
            )).scalar_one())  # fmt: skip
        told = history.History(DATABASES, newest, is_closed=False)
        history.Writer(killed, told).close()
        await start(Path(shutil.copytree(killed, tmp_path / "whole")))
        for name in DATABASES:
            (killed / f"{name}-wal").unlink()
            (killed / f"{name}-shm").unlink()
        told_now = await refusal(killed)
        assert "-wal was removed" in told_now

    async def test_of_orders_by_an_older_copy(
        self, folder: Path, used: Path, souk: Callable[..., Said]
    ) -> None:
        async with served(folder) as (_, connection):
            assert (await place(connection, "later")).is_ok
        noted = history.read(folder)
        assert noted
        assert noted.is_closed
        shutil.copy(used / files.DATABASE, folder / files.DATABASE)
        assert "older than it was" in await refusal(folder)
        said = await asyncio.to_thread(souk, "check", "--data", folder)
        assert (said.code, "older than it was" in said) == (3, True)

    async def test_a_key_is_never_replaced(self, tmp_path: Path, souk: Callable[..., Said]) -> None:
        assert (await asyncio.to_thread(souk, "migrate", "--data", tmp_path)).code == 0
        (tmp_path / files.DEMO_KEY).write_text("precious")
        with pytest.raises(errors.Misconfigured, match="never replaced"):
            await start(tmp_path)
        assert (tmp_path / files.DEMO_KEY).read_text() == "precious"

    async def test_what_a_first_start_left_when_it_was_killed_early(self, tmp_path: Path) -> None:
        (tmp_path / files.DATABASE).touch()
        (tmp_path / files.LOG).touch()
        await start(tmp_path)


class TestDamage:
    """A damaged file stops the start and every command in one line."""

    @pytest.mark.parametrize("name", DATABASES)
    async def test_a_file_cut_off(self, folder: Path, souk: Callable[..., Said], name: str) -> None:
        os.truncate(folder / name, (folder / name).stat().st_size // 2 + 100)
        told = await refusal(folder)
        assert str(folder / name) in told
        assert "damaged" in told
        commands = [["check"], ["migrate"]]
        if name == files.DATABASE:
            commands += [["dlq", "list"], ["stock", "show"], ["merchants", "list"]]
        for command in commands:
            said = await asyncio.to_thread(souk, *command, "--data", folder)
            assert (said.code, "damaged" in said, len(said.splitlines())) == (3, True, 1)

    async def test_pages_overwritten(self, folder: Path) -> None:
        spoil(folder / files.DATABASE, "orders", "order_lines")
        assert "damaged" in await refusal(folder)

    @pytest.mark.parametrize("is_closed", [True, False])
    async def test_a_large_file_is_read_after_an_unclean_end(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, is_closed: bool
    ) -> None:
        monkeypatch.setattr(integrity, "ALWAYS_CHECKED_BYTES", 0)
        noted = history.read(folder)
        assert noted
        history.Writer(folder, history.History(noted.databases, 0, is_closed=is_closed)).close()
        spoil(folder / files.DATABASE, "receipt_counters")
        if not is_closed:
            assert "damaged" in await refusal(folder)
            return
        async with engine.Engine(options(folder)).running() as running:
            assert not running.failed.done()

    @pytest.mark.parametrize("is_small", [True, False])
    async def test_a_quick_look_reads_small_files_only(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, is_small: bool
    ) -> None:
        if not is_small:
            monkeypatch.setattr(integrity, "QUICKLY_CHECKED_BYTES", 0)
        spoil(folder / files.DATABASE, "receipt_counters")
        refused = pytest.raises(errors.DatabaseDamaged)
        with refused if is_small else contextlib.nullcontext():
            used_folder.require_usable(folder, is_quick=True)

    async def test_damage_that_is_met_later_ends_the_engine_and_no_order(
        self, folder: Path
    ) -> None:
        async with served(folder) as (running, connection):
            await running.database.write(lambda c: c.exec_driver_sql("PRAGMA user_version = 7"))
            path = folder / files.DATABASE
            with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as another:
                another.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                spoil(path, "orders")
                another.execute("PRAGMA user_version = 8")  # so that nobody trusts its cache
            placing = asyncio.create_task(place(connection, "o-9"))
            with pytest.raises(errors.DatabaseDamaged):
                await asyncio.wait_for(running.failed, ANSWER_S)
            placing.cancel()
            letters = await running.database.read(
                lambda c: c.exec_driver_sql("SELECT count(*) FROM dead_letters").scalar()
            )
            assert letters == 0
        noted = history.read(folder)
        assert noted
        assert not noted.is_closed


class TestVersions:
    """Tables of another Souk."""

    @pytest.mark.parametrize("command", [["check"], ["dlq", "list"], ["backup", "DIR"]])
    @pytest.mark.parametrize("version", ["9999", None])
    async def test_commands_refuse_them(
        self, folder: Path, souk: Callable[..., Said], command: list[str], version: str | None
    ) -> None:
        stamp(folder, version)
        named = [word.replace("DIR", str(folder.parent / "backup")) for word in command]
        said = await asyncio.to_thread(souk, *named, "--data", folder)
        if command[0] == "backup":
            assert said.code == {"9999": 2, None: 3}[version]
            return
        if version == "9999":
            assert "newer Souk" in said
        assert said.code == (3 if version is None and command == ["check"] else 2)
        assert len(said.splitlines()) == 1

    async def test_newer_ones_stop_the_start(self, folder: Path) -> None:
        stamp(folder, "9999")
        told = await refusal(folder)
        assert "newer Souk" in told
        assert "Can't locate revision" not in told

    def test_the_versions_are_those_of_the_migrations(self) -> None:
        from internal.infra import migrate  # noqa: PLC0415 - Alembic is slow to import

        assert schema.versions()[-1] == migrate.newest()


def stamp(folder: Path, version: str | None) -> None:
    """Give the tables another version; None takes the table of versions away."""
    with contextlib.closing(sqlite3.connect(folder / files.DATABASE)) as connection:
        if version is None:
            connection.execute("DROP TABLE alembic_version")
        else:
            connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
        connection.commit()


def spoil(path: Path, *tables: str) -> None:
    """Overwrite the first page of each table."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = ?"
        pages = [connection.execute(query, (name,)).fetchone()[0] for name in tables]
    descriptor = os.open(path, os.O_WRONLY)
    try:
        for page in pages:
            os.pwrite(descriptor, b"\xa5" * PAGE_BYTES, (page - 1) * PAGE_BYTES)
    finally:
        os.close(descriptor)
