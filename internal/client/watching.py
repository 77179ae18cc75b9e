"""Watches an order to its end, over restarts of the server, as long as the streams bring news."""

import asyncio
import contextlib
from collections.abc import Callable

import msgspec
import tenacity

from internal.client import client
from internal.wire.souk.v1 import order_pb2

_PASSING = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})


class Retries(msgspec.Struct, frozen=True):
    """How long broken streams are taken up again."""

    silent_attempts_max: int = 12
    """A watch ends after this many connections in a row without news: about a minute."""
    longest_pause_s: float = 8.0
    connected_s: float = 60.0
    """A stream that lasted longer was with the server, even if it brought no news: connecting alone
    fails sooner. A server closes connections after a while, and streams with them.
    """


def ignore() -> None:
    """Take no note of a stream that broke."""


async def follow(
    connection: client.Client,
    watched: tuple[str, int],
    tell: Callable[[order_pb2.LogEntry], None],
    remark: Callable[[], None] = ignore,
    retries: Retries | None = None,
) -> order_pb2.Order | client.Failure:
    """Tell every step of an order and return the order at its end.

    A stream that breaks is taken up where it broke. A failure before the first news is final if it
    comes at once, and so is a refusal.

    Args:
        connection: the server.
        watched: the order's id, and the last version that was seen of it.
        tell: is called with each step.
        remark: is called when a stream breaks off after it brought news.
        retries: how long broken streams are taken up again.
    """
    return await _Watch(connection, watched, tell, remark).run(retries or Retries())


class _Watch:
    """One order, over as many streams as it takes."""

    def __init__(
        self,
        connection: client.Client,
        watched: tuple[str, int],
        tell: Callable[[order_pb2.LogEntry], None],
        remark: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._order_id, self._seen = watched
        self._tell, self._remark = tell, remark
        self._silent_attempts = 0
        self._was_connected = False

    async def run(self, retries: Retries) -> order_pb2.Order | client.Failure:
        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_result(self._may_pass),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=retries.longest_pause_s),
            stop=lambda _: self._silent_attempts >= retries.silent_attempts_max,
            before_sleep=lambda _: self._tell_of_the_break(),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
        )
        result: order_pb2.Order | client.Failure = await retrying(self._follow, retries.connected_s)
        return result

    async def _follow(self, connected_s: float) -> order_pb2.Order | client.Failure:
        """Follow one stream, to the order's end or its own."""
        self._silent_attempts += 1
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        async with contextlib.aclosing(
            self._connection.watch(self._order_id, self._seen)
        ) as replies:
            async for reply in replies:
                if isinstance(reply, client.Failure):
                    if loop.time() - began_s > connected_s:
                        self._silent_attempts, self._was_connected = 0, True
                    return reply
                self._silent_attempts, self._was_connected = 0, True
                self._seen = reply.entry.version
                self._tell(reply.entry)
                if reply.HasField("order"):
                    order: order_pb2.Order = reply.order
                    return order
        text = f"the stream ended before the order {self._order_id} did"
        return client.Failure("UNAVAILABLE", "TEMPORARY", text)

    def _tell_of_the_break(self) -> None:
        if self._silent_attempts <= 1:
            self._remark()

    def _may_pass(self, result: order_pb2.Order | client.Failure) -> bool:
        if not isinstance(result, client.Failure):
            return False
        is_own_end = result.reason == "TEMPORARY"
        return is_own_end or (self._was_connected and result.code in _PASSING)
