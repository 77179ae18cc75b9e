"""The rules of orders: what may be cancelled, what is held of the stock. Pure."""

import msgspec

from internal.catalogue.messages import PPM
from internal.inventory.messages import Demand, Shortage
from internal.kernel import money, quantities
from internal.kernel.states import ChargeState, OrderState
from internal.orders.messages import OrderAccepted, OrderPaid, RejectReason, StockLine
from internal.pricing.messages import PricedLine, PricedOrder, Refusal


def stock_lines(priced: PricedOrder) -> tuple[StockLine, ...]:
    """Add up the quantities of each product that has stock, in the order of their first line."""
    sums: dict[str, int] = {}
    for line in priced.lines:
        if line.location_id:
            sums[line.sku] = sums.get(line.sku, 0) + line.quantity_milli
    return tuple(StockLine(sku, milli) for sku, milli in sums.items())


NOT_CANCELLABLE = "ORDER_NOT_CANCELLABLE"
"""The refusal of a cancel request that comes too late."""


NOT_OPEN = "ORDER_NOT_OPEN"
"""The refusal of a tender or of new lines for an order that is not kept open, or not any more."""


HOLDS_MONEY = "ORDER_HOLDS_MONEY"
"""The refusal of new lines for an order whose tenders bring money, or may still do so."""


def may_cancel(state: OrderState, charge: ChargeState, *, is_kept_open: bool) -> bool:
    """Tell whether its merchant can cancel an order: open ones always, others before any charge."""
    return state is OrderState.ACCEPTED and (is_kept_open or charge is ChargeState.NONE)


HOLDS_NOTHING = frozenset({ChargeState.NONE, ChargeState.DECLINED, ChargeState.VOIDED})
"""The charge states of an open order of which no money is held or asked for."""


class OpenPayment(msgspec.Struct, frozen=True):
    """An open order's payment, as far as it decides what may be done next."""

    left_minor: int
    """What no tender brings, or may still bring."""
    is_untouched: bool
    """No tender brings anything, or may still do so."""
    is_ending: bool
    """What it holds is being returned."""


def next_commands(
    state: OrderState, charge: ChargeState, opened: OpenPayment | None = None
) -> tuple[str, ...]:
    """List the commands that the merchant may send next; `opened` is there if it is kept open."""
    if not may_cancel(state, charge, is_kept_open=opened is not None):
        return ()
    if opened and opened.is_ending:
        return ()
    may_add = opened is not None and opened.left_minor > 0
    may_update = opened is not None and opened.is_untouched
    return (
        *(("AddTender",) if may_add else ()),
        "CancelOrder",
        *(("UpdateOrder",) if may_update else ()),
    )


def net_discount(priced: PricedOrder) -> int:
    """Return the discount without the tax in it, as the ledger books it: per line, half even."""
    return sum(
        money.divide_round(
            line.discount_minor * PPM, PPM + _inside_ppm(line), money.RoundingMode.HALF_EVEN
        )
        for line in priced.lines
        if line.discount_minor
    )


def _inside_ppm(line: PricedLine) -> int:
    return sum(part.rate_ppm for part in line.parts if part.inclusive)


def demand_of(order: OrderAccepted | OrderPaid) -> Demand:
    """Return what an accepted or paid order holds of its store's stock."""
    quantities_milli = {line.sku: line.quantity_milli for line in order.lines}
    return Demand(order.merchant_id, order.store_id, quantities_milli)


def explain_shortage(shortage: Shortage) -> Refusal:
    """Return the refusal for a shortage."""
    if shortage.available_milli is None:
        what = f"{shortage.sku} is not stocked in this store"
        return Refusal(RejectReason.NOT_STOCKED, what)
    wanted = quantities.text(shortage.wanted_milli)
    available = quantities.text(max(shortage.available_milli, 0))
    what = f"{shortage.sku}: {wanted} wanted, {available} available"
    return Refusal(RejectReason.OUT_OF_STOCK, what)
