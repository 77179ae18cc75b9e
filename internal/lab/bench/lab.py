"""An engine under measurement: orders go in, what it cost is read, every row is verified."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from internal.client import client, sender
from internal.kernel import errors
from internal.kernel.states import OrderState
from internal.lab.workload import engine_process, outcomes, templates, verification
from internal.wire.souk.v1 import order_service_pb2

CALL_S = 60.0
SETTLE_S = 300.0
LOOK_EVERY_S = 0.5
BUSY_WAIT_S = 0.2
"""When the server does not say how long to wait."""
FINALIZED = order_service_pb2.WAIT_FOR_FINALIZED
NO_WAIT = order_service_pb2.WAIT_FOR_UNSPECIFIED


class Lab:
    """One engine and one client."""

    def __init__(
        self, engine: engine_process.Engine, connection: client.Client, made: templates.Stencils
    ) -> None:
        self.engine = engine
        self._client, self.made = connection, made
        self._next_number = 0
        self.placed: list[str] = []
        self.busy_answers = 0
        """Calls that the server put off: RESOURCE_EXHAUSTED."""

    def reserve(self, orders: int) -> int:
        """Return the first of so many numbers that nobody has used yet."""
        first, self._next_number = self._next_number, self._next_number + orders
        return first

    async def single(self, number: int, wait_for: order_service_pb2.WaitFor = NO_WAIT) -> None:
        """Place one order; with a wait until it is finalized.

        Raises:
            Temporary: it was not taken.
        """
        name, body = self.made.order_id(number), self.made.single(number, wait_for)

        async def call() -> list[client.Answer]:
            return [await self._client.submit(name, body, CALL_S)]

        await self._place(call)

    async def batch(self, numbers: range) -> None:
        """Place some orders together.

        Raises:
            Temporary: one of them was not taken.
        """
        names = [self.made.order_id(number) for number in numbers]
        body = self.made.batch(numbers)
        await self._place(lambda: self._client.submit_many(names, body, CALL_S))

    async def last_ones(self) -> None:
        """Wait until the last orders are at their end: those before them hardly end later."""
        await outcomes.Settlement(self._client, self.placed, 0).last_ones(SETTLE_S)

    async def ends(self) -> list[outcomes.End]:
        """Return the ends of all orders placed, which must be FINALIZED, in books that hold.

        Raises:
            Temporary: they are not, or the books do not.
        """
        beside = self.engine.books()
        ends = await self._wait_for_ends(beside)
        others = len(self.placed) - sum(end.state is OrderState.FINALIZED for end in ends)
        if others:
            raise errors.Temporary(f"{others} of {len(self.placed)} orders were not finalized")
        await self.check()
        return ends

    async def check(self) -> None:
        """See that every invariant holds of all that is in the books.

        Raises:
            Temporary: one does not.
        """
        checked = await self.engine.books().check(self.placed)
        if not checked.is_ok:
            raise errors.Temporary("the check found: " + " | ".join(checked.texts()))

    async def _wait_for_ends(self, beside: verification.Books) -> list[outcomes.End]:
        """Return the ends of the orders placed as soon as all have one, or after SETTLE_S."""
        give_up_at_s = time.perf_counter() + SETTLE_S
        while True:
            found = await beside.ends()
            ends = [found[name] for name in self.placed if name in found]
            if len(ends) == len(self.placed) or time.perf_counter() > give_up_at_s:
                return ends
            await asyncio.sleep(LOOK_EVERY_S)

    async def _place(self, call: Callable[[], Awaitable[list[client.Answer]]]) -> None:
        while True:
            answers = await call()
            refused = next((answer for answer in answers if not answer.is_ok), None)
            if refused is None:
                self.placed.extend(answer.order_id for answer in answers)
                return
            if refused.code != "RESOURCE_EXHAUSTED":
                what = f"{refused.order_id} was not taken: {sender.name_of(refused)}"
                raise errors.Temporary(f"{what} {refused.text}")
            self.busy_answers += 1
            await asyncio.sleep(refused.retry_after_s or BUSY_WAIT_S)


@contextlib.asynccontextmanager
async def opened(script: Path, folder: Path, name: str, seed: int) -> AsyncIterator[Lab]:
    """Start an engine with its demo shop and connect to it.

    Raises:
        Misconfigured: it does not start.
    """
    async with engine_process.running(script, folder) as engine:
        made = templates.Stencils(await engine.books().shop(), name, seed)
        async with contextlib.aclosing(client.Client(engine.access())) as connection:
            yield Lab(engine, connection, made)
