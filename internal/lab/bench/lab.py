"""An engine under measurement: takes orders from one client; every row is verified afterwards."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

from internal.client import client, sender
from internal.infra import settings
from internal.kernel import errors
from internal.kernel.states import OrderState
from internal.lab import engine_process
from internal.lab.workload import outcomes, templates, verification
from internal.wire.souk.v1 import order_service_pb2

CALL_S = 60.0
ENDS_WITHIN_S = 300.0
LOOK_EVERY_S = 0.5
BUSY_WAIT_S = 0.2
"""When the server does not say how long to wait."""
FINALIZED = order_service_pb2.WAIT_FOR_FINALIZED
NO_WAIT = order_service_pb2.WAIT_FOR_UNSPECIFIED
NO_VARIABLES: Mapping[str, str] = {}


class Lab:
    """One engine and one client."""

    def __init__(
        self,
        engine: engine_process.Serving,
        records: verification.Records,
        connection: client.Client,
        made: templates.Templates,
    ) -> None:
        self.engine, self.records = engine, records
        self._client, self.templates = connection, made
        self._next_number = 0
        self.placed: list[str] = []
        self.busy_answers = 0
        """Calls answered RESOURCE_EXHAUSTED."""

    def reserve(self, orders: int) -> int:
        """Return the first of N order numbers that are not used yet."""
        first, self._next_number = self._next_number, self._next_number + orders
        return first

    async def single(self, number: int, wait_for: order_service_pb2.WaitFor = NO_WAIT) -> None:
        """Place one order, and wait until it is finalized if `wait_for` says so.

        Raises:
            Temporary: the order was not accepted.
        """
        name, body = self.templates.order_id(number), self.templates.single(number, wait_for)

        async def call() -> list[client.Answer]:
            return [await self._client.submit(name, body, CALL_S)]

        await self._place(call)

    async def batch(self, numbers: range) -> None:
        """Place several orders in one call.

        Raises:
            Temporary: one of them was not accepted.
        """
        names = [self.templates.order_id(number) for number in numbers]
        body = self.templates.batch(numbers)
        await self._place(lambda: self._client.submit_many(names, body, CALL_S))

    async def wait_for_last(self) -> None:
        """Wait until the last orders have ended: earlier ones hardly end later."""
        await outcomes.Watcher(self._client, self.placed, 0).wait_for_last(ENDS_WITHIN_S)

    async def ends(self) -> list[outcomes.End]:
        """Return the ends of all orders placed; all must be FINALIZED and all invariants hold.

        Raises:
            Temporary: an order is not finalized, or an invariant does not hold.
        """
        ends = await self._wait_for_ends()
        others = len(self.placed) - sum(end.state is OrderState.FINALIZED for end in ends)
        if others:
            raise errors.Temporary(f"{others} of {len(self.placed)} orders were not finalized")
        await self.check()
        return ends

    async def check(self) -> None:
        """Check every invariant over the whole database.

        Raises:
            Temporary: one does not hold.
        """
        checked = await self.records.check(self.placed)
        if not checked.is_ok:
            raise errors.Temporary("the check found: " + " | ".join(checked.texts()))

    async def _wait_for_ends(self) -> list[outcomes.End]:
        """Return the ends of the orders placed once all have one, or after ENDS_WITHIN_S."""
        give_up_at_s = time.perf_counter() + ENDS_WITHIN_S
        while True:
            found = await self.records.ends()
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
                what = f"{refused.order_id} was not accepted: {sender.name_of(refused)}"
                raise errors.Temporary(f"{what} {refused.text}")
            self.busy_answers += 1
            await asyncio.sleep(refused.retry_after_s or BUSY_WAIT_S)


@contextlib.asynccontextmanager
async def opened(
    near: Path, name: str, seed: int, variables: Mapping[str, str] = NO_VARIABLES
) -> AsyncIterator[Lab]:
    """Start an engine with its demo shop on a fresh folder in `near`, and connect to it.

    `variables` are settings of the engine, as in its environment.

    Raises:
        Misconfigured: it does not start; the message ends with its output.
    """
    with tempfile.TemporaryDirectory(prefix="bench-", dir=near) as fresh:
        folder = Path(fresh)
        async with engine_process.serving(("--data", fresh), folder, variables) as engine:
            records = verification.Records(settings.of_folder(folder), engine.access.api_key)
            made = templates.Templates(await records.shop(), name, seed)
            async with contextlib.aclosing(client.Client(engine.access)) as connection:
                yield Lab(engine, records, connection, made)
