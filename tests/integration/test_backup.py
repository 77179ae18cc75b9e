"""`souk backup` and `souk restore`: complete under load, and refused where they would do harm."""

import asyncio
import contextlib
import json
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from internal.infra.data_folder import files, lock, private
from internal.payments.gateways import simulator
from tests.integration import test_data_folder
from tests.integration.test_data_folder import Said, fill, modes, place, served

souk = test_data_folder.souk
used = test_data_folder.used
folder = test_data_folder.folder
ORDERS_BEFORE, CLIENTS = 40, 8


@pytest.fixture
def saved(folder: Path, souk: Callable[..., Said]) -> Path:
    """A backup of a folder with five orders."""
    target = folder.parent / "saved"
    assert souk("backup", target, "--data", folder).code == 0
    return target


def orders_in(folder: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(folder / files.DATABASE)) as connection:
        return {row[0] for row in connection.execute("SELECT order_id FROM orders")}


async def test_every_order_answered_before_it_is_in_it_under_load(
    tmp_path: Path, souk: Callable[..., Said]
) -> None:
    answered: list[str] = []
    enough = asyncio.Event()
    async with served(tmp_path / "data") as (_, connection):

        async def send(client_no: int) -> None:
            for number in range(10_000):
                name = f"o-{client_no}-{number}"
                assert (await place(connection, name)).is_ok
                answered.append(name)
                if len(answered) == ORDERS_BEFORE:
                    enough.set()

        clients = [asyncio.create_task(send(number)) for number in range(CLIENTS)]
        await enough.wait()
        before = set(answered)
        said = await asyncio.to_thread(
            souk, "backup", tmp_path / "saved", "--data", tmp_path / "data", "--json"
        )
        assert not any(sender.done() for sender in clients)
        for sender in clients:
            sender.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
    assert (said.code, json.loads(said)["check_ok"]) == (0, True)
    restored = tmp_path / "restored"
    assert (
        await asyncio.to_thread(souk, "restore", tmp_path / "saved", "--data", restored)
    ).code == 0
    assert before <= orders_in(restored)
    assert (await asyncio.to_thread(souk, "check", "--data", restored)).code == 0
    async with served(restored):  # orders under way at that moment come to their end
        pass
    said = await asyncio.to_thread(souk, "check", "--data", restored, "--drained")
    assert said.code == 0, said


def test_it_is_private_and_each_database_is_one_file(saved: Path) -> None:
    assert modes(saved.parent)[saved.name] == private.FOLDER_MODE
    assert set(modes(saved).values()) == {private.FILE_MODE}
    assert modes(saved).keys() == {files.DATABASE, simulator.FILE, files.BACKUP}


def test_an_existing_folder_is_not_overwritten(
    folder: Path, saved: Path, souk: Callable[..., Said]
) -> None:
    listed = (saved / files.BACKUP).read_bytes()
    said = souk("backup", saved, "--data", folder)
    assert (said.code, "never overwritten" in said) == (2, True)
    assert (saved / files.BACKUP).read_bytes() == listed


def test_a_damaged_database_makes_no_backup(folder: Path, souk: Callable[..., Said]) -> None:
    test_data_folder.spoil(folder / files.DATABASE, "orders")
    said = souk("backup", folder.parent / "saved", "--data", folder)
    assert (said.code, "damaged" in said) == (3, True)
    assert [path.name for path in folder.parent.iterdir()] == ["data"]


def test_a_shop_that_fails_the_check_is_still_saved(
    folder: Path, souk: Callable[..., Said]
) -> None:
    with contextlib.closing(sqlite3.connect(folder / files.DATABASE)) as connection:
        connection.execute("UPDATE stock SET on_hand_milli = on_hand_milli + 1")
        connection.commit()
    said = souk("backup", folder.parent / "saved", "--data", folder)
    assert (said.code, "the check FAILED in it" in said) == (4, True)
    said = souk("restore", folder.parent / "saved", "--data", folder.parent / "new")
    assert (said.code, "had failed" in said) == (0, True)


def test_the_full_engine_has_its_own_way(
    saved: Path, tmp_path: Path, souk: Callable[..., Said]
) -> None:
    (tmp_path / files.CONFIG).write_text('[storage]\nengine = "full"\n')
    for command in ("backup", "restore"):
        said = souk(command, saved if command == "restore" else tmp_path / "b", "--data", tmp_path)
        assert (said.code, "scripts/sql-dump" in said) == (2, True)
        assert len(said.splitlines()) == 1


class TestRestore:
    """Only a whole backup, and only into a folder that nothing was ever kept in."""

    def test_refuses_a_used_folder(
        self, folder: Path, saved: Path, souk: Callable[..., Said]
    ) -> None:
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        said = souk("restore", saved, "--data", folder)
        assert (said.code, "is in use" in said) == (2, True)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

    @pytest.mark.parametrize("name", [f"{files.DATABASE}-wal", files.HISTORY, files.DEMO_KEY])
    def test_refuses_a_folder_with_rests(
        self, saved: Path, tmp_path: Path, souk: Callable[..., Said], name: str
    ) -> None:
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / name).touch()
        said = souk("restore", saved, "--data", tmp_path / "new")
        assert (said.code, name in said) == (2, True)

    def test_refuses_a_running_engine(
        self, saved: Path, tmp_path: Path, souk: Callable[..., Said]
    ) -> None:
        with lock.held(tmp_path / "new", is_alone=True):
            said = souk("restore", saved, "--data", tmp_path / "new")
        assert (said.code, "another engine is running" in said) == (2, True)

    def test_refuses_what_is_not_a_backup(
        self, folder: Path, tmp_path: Path, souk: Callable[..., Said]
    ) -> None:
        said = souk("restore", folder, "--data", tmp_path / "new")
        assert (said.code, "is not a backup" in said) == (2, True)

    @pytest.mark.parametrize("name", [files.DATABASE, simulator.FILE])
    @pytest.mark.parametrize("what", ["changed", "missing"])
    def test_refuses_a_damaged_backup(
        self, saved: Path, tmp_path: Path, souk: Callable[..., Said], name: str, what: str
    ) -> None:
        if what == "missing":
            (saved / name).unlink()
        else:
            content = bytearray((saved / name).read_bytes())
            content[-1] ^= 1
            (saved / name).write_bytes(content)
        said = souk("restore", saved, "--data", tmp_path / "new")
        assert (said.code, "another backup" in said) == (3, True)
        assert not (tmp_path / "new" / files.DATABASE).exists()

    def test_refuses_one_of_a_newer_souk(
        self, saved: Path, tmp_path: Path, souk: Callable[..., Said]
    ) -> None:
        listed = json.loads((saved / files.BACKUP).read_text())
        (saved / files.BACKUP).write_text(json.dumps(listed | {"tables": "9999"}))
        said = souk("restore", saved, "--data", tmp_path / "new")
        assert (said.code, "newer Souk" in said) == (2, True)

    async def test_an_interrupted_one_is_not_taken_for_a_shop(
        self, saved: Path, tmp_path: Path, souk: Callable[..., Said]
    ) -> None:
        (tmp_path / "new").mkdir()
        await asyncio.to_thread(shutil.copy, saved / simulator.FILE, tmp_path / "new")
        said = await asyncio.to_thread(souk, "restore", saved, "--data", tmp_path / "new")
        assert (said.code, "is in use" in said) == (2, True)
        said = await asyncio.to_thread(souk, "migrate", "--data", tmp_path / "new")
        assert (said.code, "is missing" in said) == (3, True)

    async def test_the_shop_goes_on_with_its_keys(
        self, folder: Path, saved: Path, tmp_path: Path, souk: Callable[..., Said]
    ) -> None:
        new = tmp_path / "new"
        assert (await asyncio.to_thread(souk, "restore", saved, "--data", new)).code == 0
        assert stat.S_IMODE(new.stat().st_mode) == private.FOLDER_MODE
        await asyncio.to_thread(shutil.copy, folder / files.DEMO_KEY, new)
        async with served(new) as (_, connection):
            assert (await place(connection, "after")).is_ok
            assert (await place(connection, "o-1")).replayed
        assert orders_in(new) == orders_in(folder) | {"after"}


async def test_both_databases_are_of_one_moment(tmp_path: Path, souk: Callable[..., Said]) -> None:
    """Many backups in a row while orders are paid: the gateway's ledger agrees in each."""
    await fill(tmp_path / "data", 1)
    async with served(tmp_path / "data") as (_, connection):

        async def send() -> None:
            for number in range(10_000):
                await asyncio.gather(*(place(connection, f"b-{number}-{n}") for n in range(16)))

        sending = asyncio.create_task(send())
        for number in range(5):
            said = await asyncio.to_thread(
                souk, "backup", tmp_path / f"b{number}", "--data", tmp_path / "data"
            )
            assert said.code == 0, said
        assert not sending.done()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
