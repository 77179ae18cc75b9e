"""The rules of orders: what may be cancelled, what is held of the stock. Pure."""

from internal.catalogue.messages import PPM
from internal.inventory.messages import Demand
from internal.kernel import money
from internal.kernel.states import ChargeState, OrderState
from internal.orders.messages import OrderAccepted, OrderPaid, StockLine
from internal.pricing.messages import PricedLine, PricedOrder


def stock_lines(priced: PricedOrder) -> tuple[StockLine, ...]:
    """Add up the quantities of each product that has stock, in the order of their first line."""
    sums: dict[str, int] = {}
    for line in priced.lines:
        if line.location_id:
            sums[line.sku] = sums.get(line.sku, 0) + line.quantity_milli
    return tuple(StockLine(sku, milli) for sku, milli in sums.items())


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
