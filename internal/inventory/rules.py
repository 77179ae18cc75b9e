"""Who gets the stock. Pure: levels and demands in, shares and shortages out."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from internal.inventory.messages import Demand, Shortage, StockKey, StockLevel


def allot(
    levels: Mapping[StockKey, StockLevel], demands: Sequence[Demand]
) -> tuple[list[Shortage | None], dict[StockKey, int]]:
    """Give each demand all it wants or nothing, first come first served.

    Returns:
        For each demand None or the first shortage that stopped it, and the reservations to add per stock row.
    """
    reserved: Counter[StockKey] = Counter()
    verdicts = [_try_one(levels, reserved, demand) for demand in demands]
    return verdicts, dict(reserved)


def _try_one(
    levels: Mapping[StockKey, StockLevel], reserved: Counter[StockKey], demand: Demand
) -> Shortage | None:
    wanted = {key_of(demand, sku): quantity for sku, quantity in demand.quantities.items()}
    for key, quantity in wanted.items():
        level = levels.get(key)
        available = None if level is None else level.available - reserved[key]
        if available is None or available < quantity:
            return Shortage(key.sku, quantity, available)
    reserved.update(wanted)
    return None


def key_of(demand: Demand, sku: str) -> StockKey:
    """Return the stock row that a demand for `sku` touches."""
    return StockKey(demand.merchant_id, demand.store_id, sku)


def keys_of(demands: Iterable[Demand]) -> list[StockKey]:
    """Return all stock rows that the demands touch, in lock order."""
    return sorted({key_of(demand, sku) for demand in demands for sku in demand.quantities})


def total(demands: Iterable[Demand]) -> dict[StockKey, int]:
    """Add up the demands per stock row."""
    sums: Counter[StockKey] = Counter()
    for demand in demands:
        sums.update({key_of(demand, sku): quantity for sku, quantity in demand.quantities.items()})
    return dict(sums)
