"""The rules of orders: what each tender pays, what may be cancelled. Pure."""

from collections.abc import Collection, Sequence

import msgspec

from internal.catalogue.messages import PPM
from internal.inventory.messages import Demand
from internal.kernel import money
from internal.kernel.quantities import MILLI
from internal.kernel.states import ChargeState, OrderState
from internal.orders.messages import OrderAccepted, OrderPaid, RejectReason, StockLine
from internal.payments.messages import Tender
from internal.pricing.messages import PricedOrder, Refusal


def settle_tenders(tenders: Sequence[Tender], priced: PricedOrder) -> tuple[Tender, ...] | Refusal:
    """Give the open tender what the others leave; together they must be the total.

    An order that costs nothing needs no tender, so tenders of 0 are dropped.
    """
    total, open_tenders = priced.total_minor, [t for t in tenders if t.amount_minor is None]
    named = sum(t.amount_minor for t in tenders if t.amount_minor is not None)
    rest = total - named
    is_negative = any(t.amount_minor < 0 for t in tenders if t.amount_minor is not None)
    if is_negative or rest < 0 or len(open_tenders) > 1 or (rest > 0 and not open_tenders):
        return Refusal(
            RejectReason.TENDERS_DO_NOT_COVER_TOTAL,
            f"the tenders name {named} of {total} minor units of {priced.currency}"
            f" and leave {len(open_tenders)} open; together they must be the total, none negative",
        )
    settled = (
        msgspec.structs.replace(t, amount_minor=rest) if t.amount_minor is None else t
        for t in tenders
    )
    return tuple(t for t in settled if t.amount_minor)


def stock_lines(priced: PricedOrder, without_stock: Collection[str] = ()) -> tuple[StockLine, ...]:
    """Add up the quantities of each product that has stock, in the order of their first line."""
    sums: dict[str, int] = {}
    for line in priced.lines:
        if line.sku in without_stock:
            continue
        sums[line.sku] = sums.get(line.sku, 0) + line.quantity
    return tuple(StockLine(sku, quantity) for sku, quantity in sums.items())


NOT_CANCELLABLE = "ORDER_NOT_CANCELLABLE"
"""The refusal of a cancel request that comes too late."""


def may_cancel(state: OrderState, charge: ChargeState) -> bool:
    """Tell whether its merchant can cancel an order: as long as no charge was requested."""
    return state is OrderState.ACCEPTED and charge is ChargeState.NONE


def next_commands(state: OrderState, charge: ChargeState) -> tuple[str, ...]:
    """List the commands that the merchant may send next."""
    return ("CancelOrder",) if may_cancel(state, charge) else ()


def net_discount(priced: PricedOrder) -> int:
    """Return the discount without the tax in it, as the ledger books it: per line, half even."""
    return sum(
        money.divide_round(
            line.discount_minor * PPM, PPM + line.tax_rate_ppm, money.RoundingMode.HALF_EVEN
        )
        if line.tax_inclusive
        else line.discount_minor
        for line in priced.lines
        if line.discount_minor
    )


def demand_of(order: OrderAccepted | OrderPaid) -> Demand:
    """Return what an accepted or paid order holds of its store's stock."""
    quantities_milli = {line.sku: line.quantity * MILLI for line in order.lines}
    return Demand(order.merchant_id, order.store_id, quantities_milli)
