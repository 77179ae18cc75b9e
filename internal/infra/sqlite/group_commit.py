"""One thread that writes, and commits waiting transactions together: a group commit.

A commit waits for the disk; under load all transactions that arrive meanwhile share that wait. Each
has a savepoint of its own: a failed one does not affect the others. It must not know what it
writes.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from internal.infra import failpoints
from internal.infra.sqlite import checkpoints
from internal.kernel import errors

Work = Callable[[sa.Connection], Any]
GROUP_WORKS_MAX = 32
"""Transactions in one commit. Their callers wait for the last of them."""


class Job:
    """A transaction, and the future of its caller."""

    __slots__ = ("error", "future", "result", "work")

    def __init__(self, work: Work, future: "asyncio.Future[Any]") -> None:
        self.work, self.future = work, future
        self.result: Any = None
        self.error: BaseException | None = None

    def resolve(self) -> None:
        """Give the result or the error to the caller, if it still waits. On the loop's thread."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer:
    """The thread and its queue. `connect` is called once, on the thread."""

    def __init__(self, connect: Callable[[], sa.Connection], log: checkpoints.Checkpoints) -> None:
        self._connect, self._log = connect, log
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="db-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Work) -> "asyncio.Future[Any]":
        """Queue a transaction; the future is done when it is committed, or has failed.

        Cancelling the future does not undo the transaction.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.put(Job(work, future))
        return future

    def close(self) -> None:
        """Finish the queued transactions, and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        connection: sa.Connection | None = None
        is_over = False
        while not is_over:
            jobs, is_over = self._take()
            tend = self._log.idle
            if jobs:
                try:
                    connection = connection or self._connect()
                    _commit(connection, jobs)
                    tend = self._log.committed
                except BaseException as error:  # noqa: BLE001 - goes to the callers of these jobs
                    tend = self._log.failed
                    for job in jobs:
                        job.error = error
                _resolve(jobs)
            if connection is not None and not is_over:
                raw: Any = connection.connection.dbapi_connection
                tend(raw)

    def _take(self) -> tuple[list[Job], bool]:
        """Wait for a job, and take the jobs queued behind it; none after an idle while."""
        jobs: list[Job] = []
        try:
            job = self._queue.get(timeout=self._log.idle_s)
            while job is not None:
                jobs.append(job)
                if len(jobs) == GROUP_WORKS_MAX:
                    return jobs, False
                job = self._queue.get_nowait()
        except queue.Empty:
            return jobs, False
        return jobs, True


def _resolve(jobs: Sequence[Job]) -> None:
    """Wake each loop once for all its jobs; the callers of a closed loop are gone."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.future.get_loop(), []).append(job)
    for loop, done in by_loop.items():
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve_each, done)


def _resolve_each(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.resolve()


def _commit(connection: sa.Connection, jobs: Sequence[Job]) -> None:
    """Run the jobs in one transaction; a failed job only loses its own savepoint.

    On the driver's own connection: SQLAlchemy's is in its autocommit mode.
    """
    raw: Any = connection.connection.dbapi_connection
    try:
        raw.execute("BEGIN IMMEDIATE")
        if len(jobs) == 1:
            jobs[0].result = jobs[0].work(connection)
        else:
            for job in jobs:
                _run_one(connection, raw, job)
        failpoints.hit("db.before_commit")
        raw.execute("COMMIT")
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise
    failpoints.hit("db.after_commit")


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
