"""One writer at a time, and waiting transactions committed together: a group commit.

A commit waits for the disk; under load all transactions that arrive meanwhile share that wait. Each
has a savepoint of its own: a failed one does not affect the others.

Quick transactions run on the loop that asked for them, and only their commit on the writer's
thread. Statements hand Python's lock over at every step, so a thread of their own would fight the
loop for it (decision 0021). All others run on the thread as a whole. It must not know what it
writes.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from internal.infra import failpoints
from internal.infra.sqlite import checkpoints
from internal.kernel import errors

Work = Callable[[sa.Connection], Any]
GROUP_WORKS_MAX = 32
"""Transactions in one commit. Their callers wait for the last of them."""
TURN_S = 0.02
"""No further quick transaction begins on the loop after this time: other calls have a turn."""
COMPANY_S = (0.002, 0.012)
"""After quick transactions that together took between these times, the next begin that much later,
so that more of them share a commit. Shorter ones are a lone order's, which must not wait; longer
ones have company enough.
"""


class Job:
    """A transaction, and the future of its caller."""

    __slots__ = ("error", "future", "is_quick", "result", "work")

    def __init__(self, work: Work, future: "asyncio.Future[Any]", *, is_quick: bool) -> None:
        self.work, self.future, self.is_quick = work, future, is_quick
        self.result: Any = None
        self.error: BaseException | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of its caller."""
        return self.future.get_loop()

    def resolve(self) -> None:
        """Give the result or the error to the caller, if it still waits. On the loop's thread."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer:
    """The connection, its thread and the queue of transactions.

    `connect` is called once, on the thread. Whoever sets `_is_busy` owns the connection until it is
    given back; jobs leave `_waiting` in the order in which they came.
    """

    def __init__(self, connect: Callable[[], sa.Connection], log: checkpoints.Checkpoints) -> None:
        self._connect, self._log = connect, log
        self._connection: sa.Connection | None = None
        self._busy_ms = 0
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()
        self._is_busy = self._is_closing = False
        self._took_s = self._ended_s = 0.0
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="db-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Work, *, is_quick: bool = False) -> "asyncio.Future[Any]":
        """Queue a transaction; the future is done when it is committed, or has failed.

        Cancelling the future does not undo the transaction.
        """
        job = Job(work, asyncio.get_running_loop().create_future(), is_quick=is_quick)
        with self._lock:
            self._waiting.append(job)
            if self._is_busy:
                return job.future
            self._is_busy = True
        if self._is_for_loop(job):
            job.loop.call_soon(self._wait_for_company)  # at least what is queued in this turn
        else:
            self._tasks.put(self._write_group)
        return job.future

    def close(self) -> None:
        """Finish the queued transactions, and end the thread."""
        self._tasks.put(self._begin_closing)
        self._thread.join()

    def _is_for_loop(self, job: Job) -> bool:
        return job.is_quick and self._connection is not None and not self._is_closing

    def _wait_for_company(self) -> None:
        least_s, most_s = COMPANY_S
        left_s = self._ended_s + self._took_s - time.monotonic()
        if left_s > 0 and least_s < self._took_s < most_s:
            asyncio.get_running_loop().call_later(left_s, self._begin_on_loop)
        else:
            self._begin_on_loop()

    def _begin_on_loop(self) -> None:
        """Run the quick transactions that wait; the thread commits them, or does it all."""
        connection, loop = self._connection, asyncio.get_running_loop()
        if connection is None or not _is_begun_at_once(_raw(connection)):
            self._tasks.put(self._write_group)
            return
        group, began_s = self._new_group(), time.monotonic()
        while time.monotonic() < began_s + TURN_S:
            if not self._run_next(connection, group, lambda job: job.is_quick and job.loop is loop):
                break
        self._took_s = time.monotonic() - began_s
        self._tasks.put(partial(self._end_group, group))

    def _new_group(self) -> "Group":
        with self._lock:
            return Group(min(len(self._waiting), GROUP_WORKS_MAX))

    def _run_next(
        self, connection: sa.Connection, group: "Group", is_wanted: Callable[[Job], bool]
    ) -> bool:
        """Run the next job as a part of the group; tell whether there was one."""
        with self._lock:
            if group.is_over or not is_wanted(self._waiting[0]):
                return False
            job = self._waiting.popleft()
        group.run(connection, job)
        return True

    # From here on: on the thread.

    def _run(self) -> None:
        while not (self._is_closing and not self._is_busy):
            try:
                task = self._tasks.get(timeout=self._log.idle_s)
            except queue.Empty:
                task = self._tend_idle
            task()

    def _begin_closing(self) -> None:
        """Write all that waits, unless a loop is at it: its commit comes here soon."""
        self._is_closing = True
        if self._own():
            self._go_on()

    def _own(self) -> bool:
        with self._lock:
            was_busy, self._is_busy = self._is_busy, True
            return not was_busy

    def _tend_idle(self) -> None:
        if self._own():
            if self._connection is not None:
                self._log.idle(_raw(self._connection))
            self._go_on()

    def _write_group(self) -> None:
        """Run what waits, and commit it."""
        group = self._new_group()
        try:
            connection = self._begun()
        except BaseException as error:  # noqa: BLE001 - goes to the callers of these jobs
            group.error = error
            with self._lock:
                group.jobs += self._waiting
                self._waiting.clear()
        else:
            while self._run_next(connection, group, lambda _job: True):
                pass
        self._end_group(group)

    def _begun(self) -> sa.Connection:
        if self._connection is None:
            self._connection = self._connect()
            (self._busy_ms,) = _raw(self._connection).execute("PRAGMA busy_timeout").fetchone()
        _begin(_raw(self._connection), self._busy_ms)
        return self._connection

    def _end_group(self, group: "Group") -> None:
        """Commit, tell the callers, and see to the log and to the jobs that came meanwhile."""
        raw = None if self._connection is None else _raw(self._connection)
        group.end(raw)
        _resolve(group.jobs)
        if raw is not None:
            (self._log.failed if group.error else self._log.committed)(raw)
        self._ended_s = time.monotonic()
        self._go_on()

    def _go_on(self) -> None:
        """Give the connection to the next job, if one waits."""
        with self._lock:
            self._is_busy = bool(self._waiting)
            job = self._waiting[0] if self._waiting else None
        if job is None:
            return
        if self._is_for_loop(job):
            with contextlib.suppress(RuntimeError):  # the loop is closed
                job.loop.call_soon_threadsafe(self._wait_for_company)
                return
        self._tasks.put(self._write_group)


class Group:
    """The jobs of one transaction, `works_max` at most. With an `error`, all have failed."""

    def __init__(self, works_max: int) -> None:
        self._works_max = works_max
        self.jobs: list[Job] = []
        self.error: BaseException | None = None

    @property
    def is_over(self) -> bool:
        """No further job may join it."""
        return self.error is not None or len(self.jobs) == self._works_max

    def run(self, connection: sa.Connection, job: Job) -> None:
        """Run one more job; a failed one only loses its own savepoint, if it is not alone."""
        self.jobs.append(job)
        try:
            if self._works_max == 1:
                job.result = job.work(connection)
            else:
                _run_one(connection, _raw(connection), job)
        except BaseException as error:  # noqa: BLE001 - goes to the callers of these jobs
            self.error = error

    def end(self, raw: Any) -> None:  # noqa: ANN401 - the driver's
        """Commit, or roll back; give all jobs the error, if there is one."""
        try:
            if self.error is None:
                failpoints.hit("db.before_commit")
                raw.execute("COMMIT")
                failpoints.hit("db.after_commit")
        except BaseException as error:  # noqa: BLE001 - as above
            self.error = error
        if self.error is not None:
            with contextlib.suppress(sqlite3.Error):
                if raw is not None and raw.in_transaction:
                    raw.execute("ROLLBACK")
            for job in self.jobs:
                job.error = self.error


def _raw(connection: sa.Connection) -> Any:  # noqa: ANN401 - the driver's own connection
    """SQLAlchemy's is in its autocommit mode."""
    return connection.connection.dbapi_connection


def _begin(raw: Any, busy_ms: int) -> None:  # noqa: ANN401 - the driver's
    """Begin a transaction that may write; wait this long for other processes."""
    raw.execute(f"PRAGMA busy_timeout={busy_ms}")
    raw.execute("BEGIN IMMEDIATE")


def _is_begun_at_once(raw: Any) -> bool:  # noqa: ANN401 - the driver's
    try:
        _begin(raw, 0)
    except sqlite3.Error:  # another process writes; or worse, which the thread will meet and tell
        return False
    return True


def _run_one(connection: sa.Connection, raw: Any, job: Job) -> None:  # noqa: ANN401 - the driver's
    raw.execute("SAVEPOINT job")
    try:
        job.result = job.work(connection)
    except Exception as error:  # noqa: BLE001 - goes to the caller of this job
        _require_transaction(raw, error)
        raw.execute("ROLLBACK TO job")
        job.error = error
    raw.execute("RELEASE job")


def _require_transaction(raw: Any, error: Exception) -> None:  # noqa: ANN401 - the driver's
    """Check that SQLite has not ended the whole transaction, as it does on a full disk.

    Raises:
        DatabaseAway: it has; every job of the group must be retried.
    """
    if not raw.in_transaction:
        raise errors.DatabaseAway(f"the transaction was ended: {error}") from error


def _resolve(jobs: Sequence[Job]) -> None:
    """Wake each loop once for all its jobs; the callers of a closed loop are gone."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, done in by_loop.items():
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve_each, done)


def _resolve_each(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.resolve()
