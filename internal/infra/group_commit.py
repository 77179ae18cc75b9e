"""One thread that writes, and commits together whatever waits: a group commit, as databases do it.

A commit waits for the disk; under load that wait is shared by all transactions that came meanwhile.
Each is a savepoint of its own: one that fails takes nothing of its neighbours along. It must not
know what it writes.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import sqlalchemy as sa

from internal.infra import failpoints
from internal.kernel import errors

Work = Callable[[sa.Connection], Any]
GROUP_WORKS_MAX = 32
"""Transactions in one commit. Their callers wait for the last of them."""


class Job:
    """A transaction, and who waits for it."""

    __slots__ = ("error", "future", "result", "work")

    def __init__(self, work: Work, future: "Future[Any]") -> None:
        self.work, self.future = work, future
        self.result: Any = None
        self.error: BaseException | None = None

    def tell(self) -> None:
        """Give the result, or what went wrong, to whoever waits."""
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer:
    """The thread and its queue. `connect` is called once, on the thread."""

    def __init__(self, connect: Callable[[], sa.Connection]) -> None:
        self._connect = connect
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="db-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Work) -> "asyncio.Future[Any]":
        """Hand a transaction in; the future is done when it is committed, or has failed."""
        future: Future[Any] = Future()
        self._queue.put(Job(work, future))
        return asyncio.wrap_future(future)

    def close(self) -> None:
        """Finish what was handed in, and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        connection: sa.Connection | None = None
        while True:
            jobs, is_over = self._take()
            try:
                connection = connection or self._connect()
                _commit(connection, jobs)
            except BaseException as error:  # noqa: BLE001 - goes to whoever waits for these jobs
                for job in jobs:
                    job.error = error
            for job in jobs:
                job.tell()
            if is_over:
                return

    def _take(self) -> tuple[list[Job], bool]:
        """Wait for a job, and take those that wait behind it."""
        jobs: list[Job] = []
        job = self._queue.get()
        while job is not None:
            if job.future.set_running_or_notify_cancel():
                jobs.append(job)
            if len(jobs) == GROUP_WORKS_MAX:
                return jobs, False
            try:
                job = self._queue.get(block=not jobs)
            except queue.Empty:
                return jobs, False
        return jobs, True


def _commit(connection: sa.Connection, jobs: Sequence[Job]) -> None:
    """Run the jobs in one transaction; a failed one only loses its own savepoint."""
    if not jobs:
        return
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        for job in jobs:
            _run_one(connection, job)
        failpoints.hit("db.before_commit")
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    failpoints.hit("db.after_commit")


def _run_one(connection: sa.Connection, job: Job) -> None:
    connection.exec_driver_sql("SAVEPOINT job")
    try:
        job.result = job.work(connection)
    except Exception as error:  # noqa: BLE001 - goes to whoever waits for this job
        _require_transaction(connection, error)
        connection.exec_driver_sql("ROLLBACK TO job")
        job.error = error
    connection.exec_driver_sql("RELEASE job")


def _require_transaction(connection: sa.Connection, error: Exception) -> None:
    """After some errors (a full disk) SQLite has ended the transaction with all that was in it.

    Raises:
        DatabaseAway: it has; every job of the group must be tried again.
    """
    if not connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]
        raise errors.DatabaseAway(f"the transaction was ended: {error}") from error
