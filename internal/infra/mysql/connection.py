"""One connection to MySQL or MariaDB: aiomysql's, with a limit on every wait and TLS without doubt.

It must not repeat anything: a link that gave no answer in time is cut, and its transaction is the
database's to try again.

Statements whose answers nobody needs at once wait for the next one, and go out with it: for a lone
order, most of what a statement costs is waking the server, and being woken by it.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import aiomysql
from aiomysql.connection import CLIENT, COMMAND, CR, MySQLResult

from internal.infra.mysql import rows as mysql_rows
from internal.kernel import errors

T = TypeVar("T")

Verdict = Callable[[int | aiomysql.Error], BaseException | None]
"""Takes how many rows a statement met, or its error; returns what is to be raised for that."""

CHUNK_BYTES_MAX = 256 * 1024
HELD_BYTES_MAX = 64 * 1024
"""What waits is sent without the next statement when it is more: the server may well begin."""
SEQUENCE_BYTE, PACKET_NUMBERS = 3, 256
"""Where in a packet its number is, and how many there are."""
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
        self._due_s: float | None = None
        """When the answer is, that is waited for."""
        self._alarm: asyncio.TimerHandle | None = None
        self._is_overdue = False
        self._chunk, self._place = b"", 0
        """What has arrived, and how much of that is used."""
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._asked: deque[tuple[Verdict, list[Any]]] = deque()
        """What is held or under way, in this order: its verdict, and who wants the whole answer."""

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
            OperationalError: nobody answers there, or who does refuses.
            Misconfigured: the server has no TLS although it is asked for, or another's certificate.
        """
        link = cls(statement_timeout_s=statement_timeout_s, **options)
        try:
            async with asyncio.timeout(connect_timeout_s):
                await link._connect()
        except TimeoutError:
            link.close()
            what = f"no greeting from {link.host}:{link.port} within {connect_timeout_s:g} s"
            raise aiomysql.OperationalError(CR.CR_CONN_HOST_ERROR, what) from None
        except aiomysql.OperationalError as error:
            if isinstance(error.__cause__, ssl.SSLError):
                what = f"SOUK_MYSQL__TLS_CA_FILE: {link.host} is not trusted: {error.__cause__}"
                raise errors.Misconfigured(what) from error
            raise
        except RuntimeError as error:  # a password that only goes encrypted, and nothing to do it
            what = f"SOUK_MYSQL__TLS_CA_FILE: {link.host} takes the password over TLS only: {error}"
            raise errors.Misconfigured(what) from error
        except asyncio.CancelledError:
            link.close()
            raise
        return link

    def close(self) -> None:
        """See aiomysql. What was to be sent soon never is, and nobody waits for its answers."""
        super().close()
        self._forget_held()
        self._asked.clear()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    @property
    def is_lost(self) -> bool:
        """Tell, without asking, whether the server has hung up meanwhile."""
        return self._reader is None or self._reader.at_eof()

    async def query(self, sql: str | bytes, unbuffered: bool = False) -> int:  # noqa: FBT001, FBT002
        """See aiomysql. What was to be sent soon goes first, and its errors do."""
        if self._asked:
            self.send_deferred(sql.encode() if isinstance(sql, str) else sql)
            return await self.flush()
        affected: int = await self._answered(super().query(sql, unbuffered))
        return affected

    def send_deferred(
        self, sql: bytes, verdict: Verdict = _as_it_is, answers: list[Any] | None = None
    ) -> None:
        """Send a statement together with the next one, or when `flush` is called.

        Its answer is added to `answers` then: aiomysql's, with `description` and `rows`.
        """
        self._ensure_alive()
        size_bytes = len(sql) + 1
        self._held.append(b"%b\0%c%b" % (size_bytes.to_bytes(3, "little"), COMMAND.COM_QUERY, sql))
        self._held_bytes += size_bytes
        self._asked.append((verdict, [] if answers is None else answers))
        if self._held_bytes > HELD_BYTES_MAX:
            self._send_held()

    async def flush(self) -> int:
        """Wait for the answers to all that was to be sent soon; return the rows the last one met.

        Raises:
            OperationalError: and other errors of aiomysql, or what the first verdict against a
                statement says. All have been answered by then.
        """
        if not self._asked:
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
        while self._asked:
            answer: int | aiomysql.Error
            self._next_seq_id = 1
            try:
                await self._read_query_result()
                answer = affected = self._affected_rows
            except aiomysql.Error as error:
                if self.closed:  # lost: there is nothing to read any more
                    raise
                answer = error
            verdict, answers = self._asked.popleft()
            answers.append(self._result)
            failure = failure or verdict(answer)
        if failure is not None:
            raise failure
        return affected

    async def autocommit(self, value: bool) -> None:  # noqa: FBT001
        """See aiomysql."""
        await self._answered(super().autocommit(value))

    async def commit(self) -> None:
        """See aiomysql."""
        await self._answered(super().commit())

    async def rollback(self) -> None:
        """See aiomysql. What was to be sent soon is not, or has been for nothing."""
        for _ in self._held:
            self._asked.pop()
        self._forget_held()
        self._asked = deque((_ignored, []) for _ in self._asked)
        await self._answered(self._read_answers())
        await self._answered(super().rollback())

    async def begin_snapshot(self) -> None:
        """Begin a transaction that sees one moment, whatever the session's own level is."""
        await self.query(SNAPSHOT)
        await self._answered(self.next_result())

    async def _answered(self, asking: Coroutine[Any, Any, T]) -> T:
        """Await an answer; a link whose answer was not read to its end is of no more use."""
        self._due_s = self._loop.time() + self._timeout_s
        if self._alarm is None:
            self._alarm = self._loop.call_at(self._due_s, self._ring)
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
            self._due_s = None

    def _ring(self) -> None:
        """Cut the connection if an answer is overdue; one alarm serves many statements."""
        self._alarm = None
        if self._due_s is None or self._writer is None:
            return
        if self._loop.time() < self._due_s:
            self._alarm = self._loop.call_at(self._due_s, self._ring)
            return
        self._is_overdue = True
        self._writer.transport.abort()  # what a half-open link has not taken is thrown away

    async def _read_query_result(self, unbuffered: bool = False) -> None:  # noqa: FBT001, FBT002
        """See aiomysql; rows are read by the chunk."""
        if unbuffered:
            await super()._read_query_result(unbuffered)
            return
        result: Any = _Result(self)
        await result.read()
        self._result, self._affected_rows = result, result.affected_rows
        if result.server_status is not None:
            self.server_status = result.server_status

    async def _read_bytes(self, num_bytes: int) -> bytes:
        """See aiomysql; what comes along with the bytes that are wanted is kept for later."""
        while len(self._chunk) - self._place < num_bytes:
            await self.read_on()
        start = self._place
        self._place += num_bytes
        return self._chunk[start : self._place]

    async def read_on(self) -> None:
        """Wait for more of the answer, and add it to what is not used yet."""
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
        """Return an answer's columns; None while not all that describes them has arrived."""
        end = mysql_rows.end_of_columns(self._chunk, self._place, count)
        if end is None:
            return None
        described, self._place = self._chunk[self._place : end], end
        self._next_seq_id = (self._next_seq_id + count) % PACKET_NUMBERS
        return mysql_rows.columns_of(described)

    def take_rows(self, decoders: Sequence[mysql_rows.Decoder], rows: list[Any]) -> bool:
        """Add to `rows` what has arrived; return whether nothing more will."""
        self._place, is_over = mysql_rows.take(self._chunk, self._place, decoders, rows)
        if is_over:
            self._next_seq_id = self._chunk[self._place + SEQUENCE_BYTE]
        return is_over

    async def _request_authentication(self) -> None:
        """Log in; where TLS is asked for, nothing of it goes to a server that has none."""
        if self._ssl_context and not self.server_capabilities & CLIENT.SSL:
            what = f"SOUK_MYSQL__TLS_CA_FILE is set, but {self.host}:{self.port} offers no TLS"
            raise errors.Misconfigured(what)
        await super()._request_authentication()


def _ignored(_: int | aiomysql.Error) -> None:
    return None


class _Result(MySQLResult):  # type: ignore[misc] # aiomysql has no types
    async def _get_descriptions(self) -> None:
        link: Any = self.connection
        while (columns := link.take_columns(self.field_count)) is None:
            await link.read_on()
        self.description, self._decoders = columns
        await link._read_packet()  # noqa: SLF001 - the end of the descriptions, as aiomysql itself

    async def _read_rowdata_packet(self) -> None:
        link: Any = self.connection
        rows: list[tuple[Any, ...]] = []
        while not link.take_rows(self._decoders, rows):
            await link.read_on()
        self._check_packet_is_eof(await link._read_packet())  # noqa: SLF001 - as aiomysql itself
        self.connection: Any = None
        self.affected_rows, self.rows = len(rows), tuple(rows)
