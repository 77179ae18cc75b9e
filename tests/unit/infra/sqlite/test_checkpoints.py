"""The write-ahead log is copied when it is old, when nothing happens, and when space is short."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from internal.infra.sqlite import checkpoints

MIB = 1_048_576
PLENTY_BYTES = 2 * checkpoints.SHORT_BYTES


class Disk:
    """A clock and a disk that a test sets, and a database with a large log of its own."""

    def __init__(self, path: Path) -> None:
        self.now_s = 1_000.0
        self.free_bytes = PLENTY_BYTES
        self.path, self.log = path, Path(f"{path}-wal")
        self.raw = sqlite3.connect(path, isolation_level=None)
        self.raw.execute("PRAGMA journal_mode=WAL")
        self.raw.execute("PRAGMA wal_autocheckpoint=0")
        self.raw.execute("CREATE TABLE t (payload BLOB)")
        self.subject = checkpoints.Checkpoints(path, lambda: self.now_s, lambda _: self.free_bytes)
        self.subject.idle(self.raw)

    def write(self, size_bytes: int, after_s: float = 1.0) -> None:
        """Commit a row, and tell the subject."""
        self.now_s += after_s
        self.raw.execute("INSERT INTO t VALUES (zeroblob(?))", (size_bytes,))
        self.subject.committed(self.raw)

    @property
    def is_copied(self) -> bool:
        """Tell whether the file alone has all rows."""
        count, alone = "SELECT count(*) FROM t", f"file:{self.path}?immutable=1"
        with contextlib.closing(sqlite3.connect(alone, uri=True)) as connection:
            (alone_rows,), (rows,) = (it.execute(count).fetchone() for it in (connection, self.raw))
            return bool(alone_rows == rows)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "souk.db")
    yield made
    made.raw.close()


def test_a_young_log_is_left_alone(disk: Disk) -> None:
    disk.write(MIB)
    disk.write(MIB)
    assert not disk.is_copied


def test_it_is_emptied_when_nothing_happens(disk: Disk) -> None:
    assert disk.subject.idle_s is None
    disk.write(MIB)
    assert disk.subject.idle_s == checkpoints.IDLE_S
    disk.subject.idle(disk.raw)
    assert disk.is_copied
    assert disk.log.stat().st_size == 0
    assert disk.subject.idle_s is None


def test_a_slow_stream_is_copied_before_it_is_old(disk: Disk) -> None:
    disk.write(MIB)
    steps = 0
    while not disk.is_copied:
        steps += 1
        disk.write(100)
    assert steps == checkpoints.OLDEST_S


@pytest.mark.parametrize(("free_mib", "is_copied"), [(7, True), (9, False), (255, False)])
def test_it_may_take_a_part_of_a_small_disk(disk: Disk, free_mib: int, *, is_copied: bool) -> None:
    disk.free_bytes = free_mib * MIB
    disk.write(2 * MIB)
    assert disk.is_copied is is_copied


@pytest.mark.parametrize("is_full", [True, False])
def test_a_full_disk_is_relieved(disk: Disk, *, is_full: bool) -> None:
    disk.write(MIB)
    disk.free_bytes = 0 if is_full else PLENTY_BYTES
    disk.subject.failed(disk.raw)
    assert disk.is_copied is is_full


def test_a_reader_does_not_hold_up_the_writer(disk: Disk) -> None:
    with contextlib.closing(sqlite3.connect(disk.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM t").fetchone()
        disk.write(MIB)
        disk.raw.execute("PRAGMA busy_timeout=12345")
        disk.subject.idle(disk.raw)
        assert disk.raw.execute("PRAGMA busy_timeout").fetchone() == (12_345,)
        assert disk.raw.execute("SELECT count(*) FROM t").fetchone() == (1,)
    disk.write(10)
    disk.subject.idle(disk.raw)
    assert disk.is_copied


def test_a_copy_that_fails_leaves_everything_as_it_is(disk: Disk) -> None:
    disk.write(MIB)
    with contextlib.closing(sqlite3.connect(disk.path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        disk.raw.execute("BEGIN")  # a copy within a transaction is an error
        disk.raw.execute("SELECT 1 FROM t").fetchone()
        disk.subject.idle(disk.raw)
        disk.raw.execute("ROLLBACK")
    assert disk.subject.idle_s == checkpoints.IDLE_S
