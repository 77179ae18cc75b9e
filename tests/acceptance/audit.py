"""Compares what the tills were told with the books, the broker and the gateway's own ledger.

Reads the data folder from outside, one snapshot a question, whether the engine runs or not. What
the rules of the books cannot know is compared with the tills' log here.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import msgspec
import sqlalchemy as sa

from internal.admin import demo_shop
from internal.infra import db
from internal.infra.embedded_bus import store as embedded_bus_store
from internal.kernel import states
from internal.kernel.states import OrderState
from internal.load import kinds
from internal.orders import store
from internal.payments import simulator
from internal.pipeline import dead_letters, flow
from internal.reports import findings, invariants
from internal.wire.souk.v1 import order_pb2
from tests.acceptance import tills

DATABASE_FILE = "souk.db"
GATEWAY_FILE = "gateway-simulator.db"
LOOK_EVERY_S = 0.05
EXAMPLES_MAX = 5
NO_LETTERS = "a good order is never put aside"


class Standing(msgspec.Struct, frozen=True):
    """What is not over yet."""

    missing: int
    """Orders answered OK that are not in the books."""
    open_orders: int
    backlog: dict[str, int]
    """Messages, by stage."""

    @property
    def is_quiet(self) -> bool:
        """Tell whether nothing is left to do."""
        return not (self.missing or self.open_orders or any(self.backlog.values()))


class Recorded(msgspec.Struct, frozen=True):
    """An order as it stands in the books."""

    state: OrderState
    reason: str
    lines: tuple[tuple[str, int], ...]
    """(sku, quantity); none of an order that could not be priced."""

    @property
    def end(self) -> str:
        """Its reason if it was refused, its state otherwise: what kinds.MEANT speaks of."""
        return self.reason if self.state is OrderState.REJECTED else self.state


@contextlib.asynccontextmanager
async def books(folder: Path) -> AsyncIterator[db.SqliteDatabase]:
    """Open the books of a data folder."""
    database = db.SqliteDatabase(folder / DATABASE_FILE, readers=1)
    try:
        yield database
    finally:
        await database.close()


async def quiet(folder: Path, log: tills.Log, within_s: float) -> tuple[Standing, float]:
    """Wait until nothing is left to do or time is up; return how it stands, and after how long."""
    started_s = time.perf_counter()
    async with books(folder) as database:
        while True:
            standing = await database.read(lambda c: _standing(c, log))
            waited_s = time.perf_counter() - started_s
            if standing.is_quiet or waited_s > within_s:
                return standing, waited_s
            await asyncio.sleep(LOOK_EVERY_S)


async def check(folder: Path, log: tills.Log) -> list[findings.Finding]:
    """Return everything that does not hold."""
    captured = simulator.captured_by_key(folder / GATEWAY_FILE)

    def look(connection: sa.Connection) -> list[findings.Finding]:
        found = invariants.check(
            connection,
            captured_at_gateway=captured,
            backlog=_backlog(connection),
            acknowledged=[(demo_shop.MERCHANT_ID, order_id) for order_id in log.placed],
        )
        return found + list(_compared(_recorded(connection), log)) + list(_letters(connection))

    async with books(folder) as database:
        return await database.read(look)


def _standing(connection: sa.Connection, log: tills.Log) -> Standing:
    orders = store.ORDERS.c
    known = set(connection.execute(sa.select(orders.order_id)).scalars())
    counting = sa.select(sa.func.count()).where(orders.state.not_in(states.ORDER_TERMINAL))
    open_orders = connection.execute(counting).scalar_one()
    return Standing(len(log.placed.keys() - known), open_orders, _backlog(connection))


def _backlog(connection: sa.Connection) -> dict[str, int]:
    """Count what each stage has not acknowledged, as far as that is written."""
    _, catalog = embedded_bus_store.look(connection)
    return {
        stage.name: embedded_bus_store.backlog(
            connection, catalog.subscriptions[stage.topic, stage.subscription]
        ).messages
        for stage in flow.STAGES
    }


def _recorded(connection: sa.Connection) -> dict[str, Recorded]:
    lines: dict[int, list[tuple[str, int]]] = {}
    line = store.ORDER_LINES.c
    query = sa.select(line.order_key, line.sku, line.quantity).order_by(
        line.order_key, line.line_no
    )
    for key, sku, quantity in connection.execute(query):
        lines.setdefault(key, []).append((sku, quantity))
    orders = store.ORDERS.c
    rows = connection.execute(
        sa.select(orders.order_key, orders.order_id, orders.state, orders.reason)
    )
    return {
        row.order_id: Recorded(
            OrderState(row.state), row.reason, tuple(lines.get(row.order_key, ()))
        )
        for row in rows
    }


def _compared(recorded: dict[str, Recorded], log: tills.Log) -> Iterator[findings.Finding]:
    """Compare the books with the tills' log, order by order."""
    yield from _found("I8", "a till is told nothing strange", log.surprises)
    yield from _found(
        "I2",
        "nothing is recorded but what was answered OK or left without an answer",
        recorded.keys() - log.placed.keys() - log.unsure,
    )
    yield from _found(
        "I1",
        "an order without an answer comes to its end too, if it exists",
        (
            name
            for name in log.unsure & recorded.keys()
            if not states.is_terminal(recorded[name].state)
        ),
    )
    yield from _found(
        "I2",
        "an order is recorded with the lines that were sent",
        (name for name, order in recorded.items() if not _is_as_sent(log, name, order)),
    )
    yield from _found(
        "I1",
        "an order comes to the end that it was meant for",
        (
            f"{name} ({kind}): {recorded[name].end}"
            for name, kind in log.placed.items()
            if name in recorded and not _is_as_meant(log, name, kind, recorded[name])
        ),
    )
    yield from _found(
        "I8",
        "an order stays at the end that a till was told",
        (
            f"{name}: {recorded[name].state}, told {order_pb2.OrderState.Name(state)}"
            for name, state in log.told.items()
            if name in recorded and not _is_the_state(recorded[name], state)
        ),
    )


def _is_the_state(order: Recorded, told: int) -> bool:
    return order_pb2.OrderState.Name(told) == f"ORDER_STATE_{order.state}"


def _is_as_meant(log: tills.Log, name: str, kind: kinds.Kind, order: Recorded) -> bool:
    """Compare an order's end with what it was made for, and with what a till wished since then."""
    if order.state is OrderState.CANCELLED:
        return name in log.wished_away - log.not_cancelled
    return name not in log.cancelled and kinds.is_as_meant(kind, order.end)


def _is_as_sent(log: tills.Log, name: str, order: Recorded) -> bool:
    """Compare the lines with the bodies that were sent under this id; any of them may be it."""
    bodies = log.drafts.get(name, {}).values()
    sent = [tuple((line.sku, line.quantity) for line in draft.lines) for draft in bodies]
    return not order.lines or order.lines in sent


def _letters(connection: sa.Connection) -> Iterator[findings.Finding]:
    letters = dead_letters.list_open(connection)
    texts = (f"{letter.code} {letter.order_id}: {letter.explanation}" for letter in letters)
    yield from _found("I7", NO_LETTERS, texts)


def _found(invariant: str, sentence: str, cases: Iterable[str]) -> Iterator[findings.Finding]:
    examples = sorted(cases)
    if examples:
        yield findings.Finding(invariant, sentence, len(examples), tuple(examples[:EXAMPLES_MAX]))
