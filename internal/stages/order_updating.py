"""UpdateOrder: the lines of an open order are replaced, as long as it holds no money.

They are priced by the rules for new orders, at the instant and for the day of the sale. The order's
row is locked. Stock moves by the difference; the caller moves it.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from internal.inventory import rules as inventory_rules
from internal.inventory import store as inventory_store
from internal.inventory.messages import Demand
from internal.kernel.clock import US_PER_SECOND
from internal.kernel.states import OrderState
from internal.orders import changes, messages, rules, store
from internal.pricing.messages import PricedOrder, Refusal
from internal.stages import cancellation, open_orders, order_processing

VERSIONS_MAX = 200
"""Of an order that takes new lines: its log keeps all of them, and a view of it reads the log."""
PLANNED_WITHIN_S = 30
"""If the payment stage has not planned the order anew by then, the janitor sends its fact again."""
Updates = Sequence[tuple[messages.Asked, store.OrderSnapshot]]


class _Update(msgspec.Struct, frozen=True):
    """New lines of an order."""

    order: store.OrderSnapshot
    before: messages.OrderAccepted
    after: messages.OrderAccepted
    priced: PricedOrder
    request_id: str

    @property
    def reserved(self) -> Demand:
        """What it needs besides what it holds."""
        return _more(self.after, self.before)

    @property
    def released(self) -> Demand:
        """What it holds and does not need any more."""
        return _more(self.before, self.after)


def _more(this: messages.OrderAccepted, other: messages.OrderAccepted) -> Demand:
    """Return what one needs of the stock above what the other needs."""
    demand, known = rules.demand_of(this), rules.demand_of(other).quantities_milli
    more = {
        sku: milli - known.get(sku, 0)
        for sku, milli in demand.quantities_milli.items()
        if milli > known.get(sku, 0)
    }
    return msgspec.structs.replace(demand, quantities_milli=more)


def refusal_of(order: store.OrderSnapshot) -> str:
    """Return why an order takes no new lines in its state; "" if it does."""
    if not order.is_open:
        return rules.NOT_OPEN
    return "" if order.charge_state in rules.HOLDS_NOTHING else rules.HOLDS_MONEY


def update(connection: sa.Connection, updates: Updates, now_us: int) -> list[cancellation.Change]:
    """Replace the lines of orders that can take the new ones; all but their stock is written."""
    keys = [order.order_key for _, order in updates]
    accepted = changes.newest_accepted(connection, keys)
    pairs = [(accepted[order.order_key], order) for _, order in updates]
    opened = open_orders.load(connection, pairs, now_us)
    commands = [_command(asked) for asked, _ in updates]
    drafts = _price(connection, keys, commands)
    decided = [
        _refusal(command, order, before, opened[order.order_key])
        or _decide(command, order, before, draft, now_us)
        for command, (before, order), draft in zip(commands, pairs, drafts, strict=True)
    ]
    decided = _with_stock(connection, decided)
    _record(connection, [it for it in decided if isinstance(it, _Update)], now_us)
    return [_change(order, it) for (_, order), it in zip(pairs, decided, strict=True)]


def _command(asked: messages.Asked) -> messages.UpdateOrder:
    assert isinstance(asked.command, messages.UpdateOrder)  # noqa: S101 - the table of commands says so
    return asked.command


def _price(
    connection: sa.Connection, keys: Sequence[int], commands: Sequence[messages.UpdateOrder]
) -> list[order_processing.PricedDraft]:
    """Price the orders as if they had been placed with their new lines."""
    claims = [(key, messages.LogStage.INTAKE, messages.PLACED_EVENT) for key in keys]
    logged = store.find_claims(connection, claims)
    wanted = []
    for claim, command in zip(claims, commands, strict=True):
        placed = logged[claim][1]
        assert isinstance(placed, messages.OrderPlaced)  # noqa: S101 - every order begins with this fact
        lines, adjustments = command.lines, command.adjustments
        wanted.append(
            msgspec.structs.replace(placed, lines=lines, adjustments=adjustments, tenders=())
        )
    snapshot = order_processing.load_snapshot(connection, wanted)
    return [order_processing.draft(it, snapshot) for it in wanted]


def _refusal(
    command: messages.UpdateOrder,
    order: store.OrderSnapshot,
    before: messages.OrderAccepted,
    opened: open_orders.OpenOrder,
) -> Refusal | None:
    """Return why an order takes no new lines, whatever they are."""
    if opened.ending is not None:
        return Refusal(rules.NOT_OPEN, "")
    if before.tenders and not opened.tenders:  # the payment stage is about to begin with them
        return Refusal(rules.HOLDS_MONEY, "")
    if command.currency != before.currency:
        return Refusal("CURRENCY_MISMATCH", "")
    if command.expected_version not in {0, order.version}:
        return Refusal("VERSION_MISMATCH", f"its version is {order.version}")
    return Refusal("TOO_MANY_CHANGES", "") if order.version >= VERSIONS_MAX else None


def _decide(
    command: messages.UpdateOrder,
    order: store.OrderSnapshot,
    before: messages.OrderAccepted,
    draft: order_processing.PricedDraft,
    now_us: int,
) -> _Update | Refusal:
    priced = draft.priced
    if draft.refusal or priced is None:
        return draft.refusal or Refusal("", "")
    after = msgspec.structs.replace(
        before,
        version=order.version + 1,
        at_us=now_us,
        lines=draft.lines,
        taxes=priced.taxes,
        gross_minor=priced.gross_minor,
        discount_minor=priced.discount_minor,
        net_minor=priced.net_minor,
        tax_minor=priced.tax_minor,
        total_minor=priced.total_minor,
        discount_net_minor=rules.net_discount(priced),
    )
    return _Update(order, before, after, priced, command.request_id)


def _with_stock(
    connection: sa.Connection, decided: Sequence[_Update | Refusal]
) -> list[_Update | Refusal]:
    """Refuse those for which there is not enough, first come, first served."""
    demands = [it.reserved for it in decided if isinstance(it, _Update)]
    levels = inventory_store.levels_for(connection, inventory_rules.total(demands))
    shortages = iter(inventory_rules.allocate(levels, demands)[0])
    found: list[_Update | Refusal] = []
    for it in decided:
        shortage = next(shortages) if isinstance(it, _Update) else None
        found.append(rules.explain_shortage(shortage) if shortage else it)
    return found


def _record(connection: sa.Connection, updates: Sequence[_Update], now_us: int) -> None:
    due_at_us = now_us + PLANNED_WITHIN_S * US_PER_SECOND
    repriced = [
        changes.Repriced(
            order_key=it.order.order_key,
            from_version=it.order.version,
            priced=it.priced,
            due_at_us=due_at_us,
            at_us=now_us,
        )
        for it in updates
    ]
    changes.reprice(connection, repriced)
    store.log(connection, [_entry(it, now_us) for it in updates])


def _entry(it: _Update, now_us: int) -> store.LogEntry:
    return store.LogEntry(
        order_key=it.order.order_key,
        stage=messages.LogStage.ORDER,
        event_id=messages.UPDATED_EVENT + it.request_id,
        version=it.after.version,
        state=OrderState.ACCEPTED,
        fact=it.after,
        at_us=now_us,
    )


def _change(order: store.OrderSnapshot, it: _Update | Refusal) -> cancellation.Change:
    if isinstance(it, Refusal):
        return cancellation.Change(order, None, refusal=it.reason, explanation=it.explanation)
    after = msgspec.structs.replace(order, version=it.after.version)
    return cancellation.Change(after, it.after, (it.released,), (it.reserved,))
