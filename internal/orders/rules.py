"""The rules of orders: what may be cancelled, what is held of the stock. Pure."""

from collections.abc import Collection

from internal.catalogue.messages import PPM
from internal.inventory.messages import Demand
from internal.kernel import money
from internal.kernel.quantities import MILLI
from internal.kernel.states import ChargeState, OrderState
from internal.orders.messages import OrderAccepted, OrderPaid, StockLine
from internal.pricing.messages import PricedOrder


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
