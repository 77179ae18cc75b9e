"""The only module that knows the details of the official client: creation, callbacks, errors.

Callbacks run on the client's own threads and must only hand over: one that raises ends the process,
one that creates or closes anything blocks every receipt. The client's asyncio module costs a turn
of the loop per message; the calls used here cost one per burst.
"""

import asyncio
import math
import socket
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import _pulsar
import pulsar
from loguru import logger

from internal.infra import retry, settings
from internal.kernel import errors

T = TypeVar("T")

Result = _pulsar.Result
PulsarException = pulsar.exceptions.PulsarException

NotFound = pulsar.exceptions.TopicNotFound
REFUSED = (pulsar.exceptions.AuthenticationError, pulsar.exceptions.AuthorizationError)
NOWHERE = Path("/dev/null")
PORTS = {"pulsar": 6_650, "pulsar+ssl": 6_651, "http": 80, "https": 443}
"""The ports of addresses that name none."""
LOOK_S = 2.0
"""The time to wait for a connection that is only made to learn why there is none."""


def open_client(options: settings.PulsarSettings, log_file: Path | None) -> pulsar.Client:
    """Make a client; it connects when it is first used. Blocks a little: not for the event loop.

    Raises:
        Misconfigured: the address is not valid.
    """
    authentication = None
    if options.token_file is not None:
        # The client itself reads the file, at every connection, so a token can be replaced.
        authentication = pulsar.Authentication("token", f"file://{options.token_file.absolute()}")
    # Its default logger writes to standard output, which belongs to Souk's commands.
    log = pulsar.FileLogger(pulsar.LoggerLevel.Warn, str(log_file or NOWHERE))
    try:
        return pulsar.Client(
            options.service_url,
            authentication=authentication,
            operation_timeout_seconds=math.ceil(options.operation_timeout_s),
            connection_timeout_ms=math.ceil(options.operation_timeout_s * 1_000),
            stats_interval_in_seconds=0,
            tls_trust_certs_file_path=options.tls_ca_file and str(options.tls_ca_file),
            tls_validate_hostname=True,
            logger=log,
        )
    except (PulsarException, RuntimeError, ValueError) as error:
        raise errors.Misconfigured(f"SOUK_PULSAR__SERVICE_URL: {error}") from error


async def in_thread(what: str, make: Callable[[], T], undo: Callable[[T], None]) -> T:
    """Run a blocking call of the client in a thread.

    If the caller is cancelled, `undo` is called on a result that comes later.

    Raises:
        BusAway: the broker did not do it in time, or rejected it; see the exception's cause.
    """
    made = asyncio.ensure_future(asyncio.to_thread(make))
    try:
        return await asyncio.shield(made)
    except PulsarException as error:
        raise errors.BusAway(f"{what}: {_said_by(error)}") from error
    except asyncio.CancelledError:
        made.add_done_callback(lambda done: _undo(done, undo))
        raise


def _said_by(error: Exception) -> str:
    """Return an exception as text; many of the client's say nothing but their name."""
    name = type(error).__name__
    return name if str(error) in {"", name} else f"{name}: {error}"


def why_away(url: str) -> str:
    """Return what is wrong with each address in it; "" if all take connections. It blocks.

    The client itself says neither which one it tried nor why it failed.
    """
    scheme, _, hosts = url.rstrip("/").partition("://")
    reasons = []
    for address in hosts.split(","):
        parts = urlsplit(f"//{address}")
        try:
            where = parts.hostname or "", parts.port or PORTS[scheme]
            socket.create_connection(where, LOOK_S).close()
        except OSError as error:
            reasons.append(f"{address}: {retry.reason_of(error)}")
        except ValueError:
            reasons.append(f"{address}: not a host and a port")
    return "; ".join(reasons)


def _undo(done: "asyncio.Future[T]", undo: Callable[[T], None]) -> None:
    if not done.cancelled() and done.exception() is None:
        done.get_loop().run_in_executor(None, undo, done.result())


def close_quietly(it: Any) -> None:  # noqa: ANN401 - pulsar ships no types
    """Close a producer, consumer, reader or client; it blocks. It may be closed already."""
    try:
        it.close()
    except PulsarException as error:
        logger.debug("closing {it}: {error!r}", it=type(it).__name__, error=error)


class HandOver:
    """Brings results from the client's threads to the loop, many at one wake-up.

    The client's threads call `came`; `process` is called on the loop and drains `results`.
    """

    def __init__(self, process: Callable[[], None]) -> None:
        self.results: deque[Any] = deque()
        self._loop = asyncio.get_running_loop()
        self._process = process
        self._is_waking = False

    def came(self, result: object) -> None:
        """Take a result, on any thread."""
        self.results.append(result)
        self.wake()

    def wake(self) -> None:
        """Have `process` called soon, on any thread."""
        if self._is_waking:
            return
        self._is_waking = True
        try:
            self._loop.call_soon_threadsafe(self._on_loop)
        except RuntimeError:
            # The loop is closed and has no waiting callers; an exception would end the process.
            return

    def _on_loop(self) -> None:
        # First the flag: a result that comes during `process` wakes the loop again.
        self._is_waking = False
        self._process()


class Pull:
    """Asks a consumer or reader for one message after another, without a thread of its own.

    A message that is available is returned at once. Otherwise one is requested, and when it has
    come, `came` is called on the loop, so that its owner takes again.
    """

    def __init__(self, ask: Callable[[Callable[[Any, Any], None]], None], came: "HandOver") -> None:
        self._ask, self._came = ask, came
        self._answers: deque[tuple[Any, Any]] = deque()
        self._is_asked = self._is_asking = False

    def take(self) -> Any:  # noqa: ANN401 - pulsar ships no types
        """Return the next message, or None if none is available.

        Raises:
            BusAway: no more messages will come.
        """
        if not self._is_asked:
            self._is_asked = self._is_asking = True
            self._ask(self._answer)
            self._is_asking = False
        if not self._answers:
            return None
        self._is_asked = False
        result, message = self._answers.popleft()
        if result != Result.Ok:
            raise errors.BusAway(f"the broker's messages end here: {result.name}")
        return message

    def _answer(self, result: Any, message: Any) -> None:  # noqa: ANN401 - pulsar ships no types
        self._answers.append((result, message))
        if not self._is_asking:
            self._came.wake()


def pull_consumer(consumer: Any, came: HandOver) -> Pull:  # noqa: ANN401 - pulsar ships no types
    """Pull from a pulsar.Consumer, whose public interface has no receive_async."""
    return Pull(consumer._consumer.receive_async, came)  # noqa: SLF001


def pull_reader(reader: Any, came: HandOver) -> Pull:  # noqa: ANN401 - pulsar ships no types
    """Pull from a pulsar.Reader, whose public interface has no read_next_async."""
    return Pull(reader._reader.read_next_async, came)  # noqa: SLF001


def acknowledge(consumer: Any, message_id: Any) -> None:  # noqa: ANN401 - pulsar ships no types
    """Acknowledge by id, without waiting: the client sends many of them together.

    While the broker is away, the client keeps them, unless the consumer is closed.
    """
    consumer._consumer.acknowledge_async(message_id, _ignore)  # noqa: SLF001


def _ignore(_result: object) -> None:
    return


def name_of(message_id: Any) -> str:  # noqa: ANN401 - pulsar ships no types
    """Return a name of a message that is unique within its topic."""
    place = message_id.ledger_id(), message_id.entry_id(), message_id.partition()
    return ":".join(map(str, (*place, message_id.batch_index())))


def send(
    producer: Any,  # noqa: ANN401 - pulsar ships no types
    payload: bytes,
    key: str,
    properties: Mapping[str, str],
    receipt: Callable[[Any, Any], None],
) -> None:
    """Hand a message to a pulsar.Producer; `receipt` gets (result, message id).

    Its public send_async checks every argument's type again and sets property by property: it takes
    twice as long.
    """
    builder = _pulsar.MessageBuilder()
    builder.content(payload)
    builder.partition_key(key)
    if properties:
        builder.properties(dict(properties))
    producer._producer.send_async(builder.build(), receipt)  # noqa: SLF001
