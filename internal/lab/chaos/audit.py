"""Compares the clients' log with the database. Reads one snapshot; does not depend on an engine.

The invariants of the database itself are in internal/checks. This module adds the facts that they
cannot know: which orders were answered OK, how each should end, which dead letters are expected.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import msgspec
import sqlalchemy as sa

from internal.checks import findings
from internal.kernel import states
from internal.kernel.states import OrderState
from internal.lab.chaos import clients
from internal.lab.workload import scenarios
from internal.orders import refusals, tables
from internal.pipeline import dead_letters
from internal.wire.souk.v1 import order_pb2

EXAMPLES_MAX = 5
EXAMPLE_CHARS_MAX = 200
LETTERS_MAX = 100_000
NO_LETTERS = "a good order never becomes a dead letter"
ALL_LETTERS = "a message that no stage can read becomes a dead letter"


class Recorded(msgspec.Struct, frozen=True):
    """An order as the database has it."""

    state: OrderState
    reason: str
    lines: tuple[tuple[str, int], ...]
    """(sku, thousandths); empty for an order that could not be priced."""

    @property
    def end(self) -> str:
        """The reason of a rejected order, else its state, as in scenarios.EXPECTED."""
        return self.reason if self.state is OrderState.REJECTED else self.state


Letter = tuple[str, str]
"""(topic, payload) of a dead letter."""


def recorded(connection: sa.Connection, run: str = "") -> dict[str, Recorded]:
    """Return all orders by id, or only those whose ids begin with `run`."""
    orders, line = tables.ORDERS.c, tables.ORDER_LINES.c
    of_run = orders.order_id.startswith(run, autoescape=True) if run else sa.true()
    in_run = line.order_key.in_(sa.select(orders.order_key).where(of_run)) if run else sa.true()
    lines: dict[int, list[tuple[str, int]]] = {}
    query = sa.select(line.order_key, line.sku, line.quantity_milli).where(in_run)
    for key, sku, quantity in connection.execute(query.order_by(line.order_key, line.line_no)):
        lines.setdefault(key, []).append((sku, quantity))
    columns = (orders.order_key, orders.order_id, orders.state, refusals.REASON)
    query = sa.select(*columns).select_from(refusals.WITH_ORDERS).where(of_run)
    return {
        row.order_id: Recorded(
            OrderState(row.state), row.reason, tuple(lines.get(row.order_key, ()))
        )
        for row in connection.execute(query)
    }


def compared(recorded: Mapping[str, Recorded], log: clients.Log) -> Iterator[findings.Finding]:
    """Compare the database with the clients' log, order by order."""
    yield from found("I8", "a client gets no unexpected answer", log.surprises)
    yield from found(
        "I2",
        "every recorded order was answered OK or left without an answer",
        recorded.keys() - log.placed.keys() - log.unsure,
    )
    yield from found(
        "I1",
        "an order without an answer comes to its end, too, if it exists",
        (
            name
            for name in log.unsure & recorded.keys()
            if not states.is_terminal(recorded[name].state)
        ),
    )
    yield from found(
        "I2",
        "an order is recorded with the lines that were sent",
        (name for name, order in recorded.items() if not _is_as_sent(log, name, order)),
    )
    yield from found(
        "I1",
        "an order comes to the end that is expected of it",
        (
            f"{name} ({kind}): {recorded[name].end}"
            for name, kind in log.placed.items()
            if name in recorded and not _is_expected(log, name, kind, recorded[name])
        ),
    )
    yield from found(
        "I8",
        "an order stays at the end that a client was told",
        (
            f"{name}: {recorded[name].state}, told {order_pb2.OrderState.Name(state)}"
            for name, state in log.ends.items()
            if name in recorded and not _is_the_state(recorded[name], state)
        ),
    )


def letters(
    connection: sa.Connection, wanted: Iterable[Letter] = (), after: int = 0
) -> Iterator[findings.Finding]:
    """Compare the open dead letters with keys above `after` with the expected ones."""
    opened = dead_letters.list_open(connection, letters_max=LETTERS_MAX)
    there = [letter for letter in opened if letter.letter_key > after]
    expected = Counter(wanted)
    missing = expected - Counter((letter.topic, letter.payload) for letter in there)
    surplus = []
    for letter in there:
        if expected[letter.topic, letter.payload]:
            expected[letter.topic, letter.payload] -= 1
        else:
            surplus.append(f"{letter.code} {letter.subject}: {letter.explanation}")
    yield from found("I7", NO_LETTERS, surplus)
    missed = (f"{topic}: {payload}"[:EXAMPLE_CHARS_MAX] for topic, payload in missing.elements())
    yield from found("I7", ALL_LETTERS, missed)


def found(invariant: str, sentence: str, cases: Iterable[str]) -> Iterator[findings.Finding]:
    """Yield a finding if there are any cases."""
    examples = sorted(cases)
    if examples:
        yield findings.Finding(invariant, sentence, len(examples), tuple(examples[:EXAMPLES_MAX]))


def _is_the_state(order: Recorded, told: int) -> bool:
    return order_pb2.OrderState.Name(told) == f"ORDER_STATE_{order.state}"


def _is_expected(log: clients.Log, name: str, kind: scenarios.Kind, order: Recorded) -> bool:
    """Compare an order's end with the expected one, and with requests since then."""
    if order.state is OrderState.CANCELLED:
        return name in log.cancel_requested - log.not_cancelled
    if order.state is OrderState.EXPIRED and name in log.paid_later:
        return False
    return name not in log.cancelled and scenarios.is_expected(kind, order.end)


def _is_as_sent(log: clients.Log, name: str, order: Recorded) -> bool:
    """Compare the lines with all bodies that were sent under this id; one must match."""
    bodies = log.drafts.get(name, {}).values()
    sent = [tuple((line.sku, line.quantity_milli) for line in draft.lines) for draft in bodies]
    return not order.lines or order.lines in sent
