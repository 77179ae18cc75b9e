"""The limits on calls that are open, on answers that wait to be read, and on long work.

Knows no protocol: a connection is any text that names one. One caller must not be able to use up
what all callers share, so each limit knows whose turn it is.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SMALL_ANSWER_BYTES = 16 * 1024
"""An order's answer is smaller. The number of open calls limits these."""


class ConcurrencyLimit:
    """Up to `calls_max` calls at once, each for up to `max_s`.

    When all places are taken, a connection with less than its share of them still gets one, so that
    a few connections cannot keep out the others. There are never more than twice as many calls.
    """

    def __init__(self, calls_max: int, default_s: float, max_s: float) -> None:
        """Take the limits; `default_s` is for calls without a deadline."""
        self.calls_max, self.default_s, self.max_s = calls_max, default_s, max_s
        self._calls_of: Counter[str] = Counter()
        self.open_calls = 0

    def enter(self, connection: str) -> bool:
        """Count a call, and tell whether it may be served; `leave` follows in both cases."""
        self.open_calls += 1
        self._calls_of[connection] += 1
        if self.open_calls <= self.calls_max:
            return True
        return self._calls_of[connection] <= self.calls_max // len(self._calls_of)

    def leave(self, connection: str) -> None:
        """Count a call no longer: its answer is sent, or its caller is gone."""
        self.open_calls -= 1
        self._calls_of[connection] -= 1
        if not self._calls_of[connection]:
            del self._calls_of[connection]


class UnreadAnswers:
    """The answers that are in memory because their callers have not read them."""

    def __init__(self, bytes_max: int) -> None:
        """Take the limit on all large answers together."""
        self._bytes_max = bytes_max
        self.bytes = 0

    def add(self, size: int) -> bool:
        """Count an answer of this size; False, and nothing is counted, if there are too many."""
        if size > SMALL_ANSWER_BYTES and self.bytes + size > self._bytes_max:
            return False
        self.bytes += size
        return True

    def remove(self, size: int) -> None:
        """Count an answer no longer: it is sent, or its caller is gone."""
        self.bytes -= size


class Turns:
    """Lets one long piece of work run at a time, and merchants take turns.

    Work that yields to the event loop now and then still delays everything else if many pieces of
    it run side by side: then each turn of the loop is as long as all of them together.
    """

    def __init__(self) -> None:
        """Begin with nothing to do."""
        self._is_busy = False
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def turn_of(self, merchant_id: str) -> AsyncIterator[None]:
        """Wait for this merchant's turn; the next one's comes when the context is left."""
        if self._is_busy:
            await self._wait(merchant_id)
        self._is_busy = True
        try:
            yield
        finally:
            self._next()

    async def _wait(self, merchant_id: str) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(merchant_id, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._next()  # it was this one's turn already
            raise

    def _next(self) -> None:
        """Give the turn to the merchant who had none for the longest time."""
        self._is_busy = False
        while self._waiting:
            merchant_id, calls = next(iter(self._waiting.items()))
            del self._waiting[merchant_id]
            waiting = deque(call for call in calls if not call.done())
            if not waiting:
                continue
            first = waiting.popleft()
            if waiting:
                self._waiting[merchant_id] = waiting  # at the end
            self._is_busy = True
            first.set_result(None)
            return
