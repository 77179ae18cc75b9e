"""One connection to MySQL or MariaDB: aiomysql's, with a limit on every wait and enforced TLS.

It must not repeat anything: a connection without an answer in time is cut, and database.py retries
its transaction.

Statements whose answers are not needed at once are deferred and sent with the next one: for a
single order, most of what a statement costs is waking the server, and being woken by it.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import aiomysql
import sqlalchemy as sa
from aiomysql.connection import CLIENT, COMMAND, CR, MySQLResult

from internal.infra import retry
from internal.infra.mysql import errors as mysql_errors
from internal.infra.mysql import rows as mysql_rows
from internal.kernel import errors

T = TypeVar("T")

Verdict = Callable[[int | aiomysql.Error], BaseException | None]
"""Takes how many rows a statement matched, or its error; returns the exception to raise, if any."""

TLS_SETTING = "SOUK_MYSQL__TLS_CA_FILE"
CHUNK_BYTES_MAX = 256 * 1024
HELD_BYTES_MAX = 64 * 1024
"""More deferred bytes are sent without waiting for the next statement: the server can begin."""
MS_PER_SECOND = 1_000
SEQUENCE_BYTE, PACKET_NUMBERS = 3, 256
"""The place of a packet's number in the packet, and how many numbers there are."""
SNAPSHOT = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;"
    " START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
)
"""Two statements in one message: READ COMMITTED has no snapshots."""


def _as_it_is(answer: int | aiomysql.Error) -> BaseException | None:
    return None if isinstance(answer, int) else answer


class Connection(aiomysql.Connection):  # type: ignore[misc] # aiomysql has no types
    """A connection that never waits for longer than `statement_timeout_s` for an answer."""

    def __init__(self, *, statement_timeout_s: float, **options: Any) -> None:  # noqa: ANN401
        super().__init__(client_flag=CLIENT.FOUND_ROWS, **options)
        self._timeout_s = statement_timeout_s
        self._limit_s: float | None = None
        """How long a statement may run in the server; None means its own limit, if it has one."""
        self._deadline_s: float | None = None
        """When the current answer is due."""
        self._timer: asyncio.TimerHandle | None = None
        self._is_overdue = False
        self._chunk, self._place = b"", 0
        """The bytes that have arrived, and how many of them are used."""
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._pending: deque[tuple[Verdict, list[Any]]] = deque()
        """(verdict, list for the whole answer) of each statement that is held or sent, in order."""

    @classmethod
    async def open(
        cls,
        *,
        connect_timeout_s: float,
        statement_timeout_s: float,
        **options: Any,  # noqa: ANN401
    ) -> "Connection":
        """Connect and log in.

        Raises:
            OperationalError: the server does not answer, or rejects the login.
            Misconfigured: TLS is required, but the server has none or an untrusted certificate.
        """
        connection = cls(statement_timeout_s=statement_timeout_s, **options)
        try:
            async with asyncio.timeout(connect_timeout_s):
                await connection._connect()
        except TimeoutError:
            is_connected = str(connection.host_info).startswith("socket")
            connection.close()
            missing = "connected, but no greeting came" if is_connected else "no answer"
            why = f"{missing} within {connect_timeout_s:g} s"
            raise _not_reached(connection, why) from None
        except aiomysql.OperationalError as error:
            if isinstance(error.__cause__, ssl.SSLError):
                what = f"{TLS_SETTING}: {connection.host} is not trusted: {error.__cause__}"
                raise errors.Misconfigured(what) from error
            if isinstance(error.__cause__, OSError):
                why = retry.reason_of(error.__cause__)
                raise _not_reached(connection, why) from error
            raise
        except RuntimeError as error:  # the server takes this password only over TLS
            what = f"{TLS_SETTING}: {connection.host} takes the password over TLS only: {error}"
            raise errors.Misconfigured(what) from error
        except asyncio.CancelledError:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """See aiomysql. Deferred statements are dropped, and their answers are not awaited."""
        super().close()
        self._forget_held()
        self._pending.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def is_lost(self) -> bool:
        """Tell, without a request, whether the server has closed the connection."""
        return self._reader is None or self._reader.at_eof()

    async def query(self, sql: str | bytes, unbuffered: bool = False) -> int:  # noqa: FBT001, FBT002
        """See aiomysql. Deferred statements go first, and so do their errors."""
        if self._pending:
            self.send_deferred(sql.encode() if isinstance(sql, str) else sql)
            return await self.flush()
        affected: int = await self._answered(super().query(sql, unbuffered))
        return affected

    def send_deferred(
        self, sql: bytes, verdict: Verdict = _as_it_is, answers: list[Any] | None = None
    ) -> None:
        """Send a statement together with the next one, or when `flush` is called.

        Its answer is then added to `answers`: aiomysql's result, with `description` and `rows`.
        """
        self._ensure_alive()
        size_bytes = len(sql) + 1
        self._held.append(b"%b\0%c%b" % (size_bytes.to_bytes(3, "little"), COMMAND.COM_QUERY, sql))
        self._held_bytes += size_bytes
        self._pending.append((verdict, [] if answers is None else answers))
        if self._held_bytes > HELD_BYTES_MAX:
            self._send_held()

    async def flush(self) -> int:
        """Wait for all deferred statements; return how many rows the last one matched.

        Raises:
            OperationalError: and other errors of aiomysql, or the exception of the first verdict
                against a statement. All statements have been answered by then.
        """
        if not self._pending:
            return 0
        self._send_held()
        return await self._answered(self._read_answers())

    def _send_held(self) -> None:
        self._write_bytes(b"".join(self._held))
        self._forget_held()

    def _forget_held(self) -> None:
        self._held.clear()
        self._held_bytes = 0

    async def _read_answers(self) -> int:
        failure: BaseException | None = None
        affected = 0
        while self._pending:
            answer: int | aiomysql.Error
            self._next_seq_id = 1
            try:
                await self._read_query_result()
                answer = affected = self._affected_rows
            except aiomysql.Error as error:
                if self.closed:  # the connection is lost: no more answers will come
                    raise
                answer = error
            verdict, answers = self._pending.popleft()
            answers.append(self._result)
            failure = failure or verdict(answer)
        if failure is not None:
            raise failure
        return affected

    @property
    def mode(self) -> tuple[bool, float | None]:
        """Whether each statement commits by itself, and how long one may run in the server."""
        return self.get_autocommit(), self._limit_s

    async def set_mode(self, *, autocommit: bool, limit_s: float | None) -> None:
        """Change both in one statement; without a limit, the server's own holds."""
        await self.query(f"SET autocommit = {int(autocommit)}, {self._limit_sql(limit_s)}")
        self._limit_s = limit_s

    def _limit_sql(self, limit_s: float | None) -> str:
        if "MariaDB" in self.server_version:
            return f"max_statement_time = {'DEFAULT' if limit_s is None else f'{limit_s:.6f}'}"
        limit = "DEFAULT" if limit_s is None else max(1, round(limit_s * MS_PER_SECOND))
        return f"max_execution_time = {limit}"

    async def autocommit(self, value: bool) -> None:  # noqa: FBT001
        """See aiomysql."""
        await self._answered(super().autocommit(value))

    async def commit(self) -> None:
        """See aiomysql."""
        await self._answered(super().commit())

    async def rollback(self) -> None:
        """See aiomysql. Deferred statements are dropped, or their answers are ignored."""
        for _ in self._held:
            self._pending.pop()
        self._forget_held()
        self._pending = deque((_ignored, []) for _ in self._pending)
        await self._answered(self._read_answers())
        await self._answered(super().rollback())

    async def begin_snapshot(self) -> None:
        """Begin a transaction that reads one snapshot, at any isolation level of the session."""
        await self.query(SNAPSHOT)
        await self._answered(self.next_result())

    async def _answered(self, asking: Coroutine[Any, Any, T]) -> T:
        """Await an answer; a connection whose answer was not read to its end is closed."""
        self._deadline_s = self._loop.time() + self._timeout_s
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline_s, self._cut_if_overdue)
        try:
            return await asking
        except aiomysql.Error as error:
            if not self._is_overdue:
                raise
            what = f"no answer within {self._timeout_s:g} s"
            raise aiomysql.OperationalError(CR.CR_SERVER_LOST, what) from error
        except BaseException:
            self.close()
            raise
        finally:
            self._deadline_s = None

    def _cut_if_overdue(self) -> None:
        """Cut the connection if an answer is overdue; one timer serves many statements."""
        self._timer = None
        if self._deadline_s is None or self._writer is None:
            return
        if self._loop.time() < self._deadline_s:
            self._timer = self._loop.call_at(self._deadline_s, self._cut_if_overdue)
            return
        self._is_overdue = True
        self._writer.transport.abort()  # drops the bytes that a half-open connection has not taken

    async def _read_query_result(self, unbuffered: bool = False) -> None:  # noqa: FBT001, FBT002
        """See aiomysql; rows are read in chunks."""
        if unbuffered:
            await super()._read_query_result(unbuffered)
            return
        result: Any = _Result(self)
        await result.read()
        self._result, self._affected_rows = result, result.affected_rows
        if result.server_status is not None:
            self.server_status = result.server_status

    async def _read_bytes(self, num_bytes: int) -> bytes:
        """See aiomysql; bytes beyond those wanted are kept for later."""
        while len(self._chunk) - self._place < num_bytes:
            await self.read_on()
        start = self._place
        self._place += num_bytes
        return self._chunk[start : self._place]

    async def read_on(self) -> None:
        """Wait for more of the answer, and append it to the unused bytes."""
        try:
            more = await self._reader.read(CHUNK_BYTES_MAX)
        except OSError as error:
            raise self._lost() from error
        if not more:
            raise self._lost()
        self._chunk, self._place = self._chunk[self._place :] + more, 0

    def _lost(self) -> Exception:
        self.close()
        what = "the connection was lost during a statement"
        error: Exception = aiomysql.OperationalError(CR.CR_SERVER_LOST, what)
        return error

    def take_columns(self, count: int) -> mysql_rows.Columns | None:
        """Return an answer's columns; None until all of their descriptions have arrived."""
        end = mysql_rows.end_of_columns(self._chunk, self._place, count)
        if end is None:
            return None
        described, self._place = self._chunk[self._place : end], end
        self._next_seq_id = (self._next_seq_id + count) % PACKET_NUMBERS
        return mysql_rows.columns_of(described)

    def take_rows(self, decoders: Sequence[mysql_rows.Decoder], rows: list[Any]) -> bool:
        """Add the rows that have arrived to `rows`; return whether those were the last."""
        self._place, is_over = mysql_rows.take(self._chunk, self._place, decoders, rows)
        if is_over:
            self._next_seq_id = self._chunk[self._place + SEQUENCE_BYTE]
        return is_over

    async def _request_authentication(self) -> None:
        """Log in; if TLS is required, nothing is sent to a server without TLS."""
        if self._ssl_context and not self.server_capabilities & CLIENT.SSL:
            what = f"{TLS_SETTING} is set, but {self.host}:{self.port} offers no TLS"
            raise errors.Misconfigured(what)
        await super()._request_authentication()


def _not_reached(connection: Connection, why: str) -> aiomysql.OperationalError:
    address = f"{connection.host}:{connection.port}"
    what = f"SOUK_MYSQL__HOST and SOUK_MYSQL__PORT name {address}: {why}"
    return aiomysql.OperationalError(CR.CR_CONN_HOST_ERROR, what)


def _ignored(_: int | aiomysql.Error) -> None:
    return None


class _Result(MySQLResult):  # type: ignore[misc] # aiomysql has no types
    async def _get_descriptions(self) -> None:
        connection: Any = self.connection
        while (columns := connection.take_columns(self.field_count)) is None:
            await connection.read_on()
        self.description, self._decoders = columns
        await connection._read_packet()  # noqa: SLF001 - the end of the descriptions, as aiomysql itself

    async def _read_rowdata_packet(self) -> None:
        connection: Any = self.connection
        rows: list[tuple[Any, ...]] = []
        while not connection.take_rows(self._decoders, rows):
            await connection.read_on()
        self._check_packet_is_eof(await connection._read_packet())  # noqa: SLF001 - as aiomysql itself
        self.connection: Any = None
        self.affected_rows, self.rows = len(rows), tuple(rows)


def flush(connection: sa.Connection) -> None:
    """Wait until all deferred statements are done.

    Raises:
        Conflict: see `bulk.insert_deferred` and `bulk.update_deferred`; and all that they raise.
    """
    own: Any = connection.connection.dbapi_connection
    try:
        own.run_async(lambda driver: driver.flush())
    except connection.dialect.loaded_dbapi.Error as error:
        raise mysql_errors.as_sqlalchemy(connection.dialect, error) from error
