"""Allocates stock to demands, and compares counts with the records. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from internal.inventory.messages import Demand, Shortage, StockKey, StockLevel


def allocate(
    levels: Mapping[StockKey, StockLevel], demands: Sequence[Demand], taken: Iterable[Demand] = ()
) -> tuple[list[Shortage | None], dict[StockKey, int]]:
    """Give each demand all of its quantities or nothing, first come, first served.

    Args:
        levels: the stock rows.
        demands: what is wanted.
        taken: what is given already, but not reserved yet.

    Returns:
        For each demand None, or the first shortage that stopped it; and {stock row: thousandths} to
        reserve, with what was given already.
    """
    reserved = total(taken)
    shortages = [_allocate_one(levels, reserved, demand) for demand in demands]
    return shortages, reserved


def _allocate_one(
    levels: Mapping[StockKey, StockLevel], reserved: dict[StockKey, int], demand: Demand
) -> Shortage | None:
    wanted = {key_of(demand, sku): milli for sku, milli in demand.quantities_milli.items()}
    for key, quantity in wanted.items():
        level = levels.get(key)
        available = None if level is None else level.available_milli - reserved.get(key, 0)
        if available is None or available < quantity:
            return Shortage(key.sku, quantity, available)
    for key, quantity in wanted.items():
        reserved[key] = reserved.get(key, 0) + quantity
    return None


def key_of(demand: Demand, sku: str) -> StockKey:
    """Return the key of the stock row that `demand` takes `sku` from."""
    return StockKey(demand.merchant_id, demand.location_id, sku)


def total(demands: Iterable[Demand]) -> dict[StockKey, int]:
    """Add up the quantities of all demands per stock row."""
    sums: dict[StockKey, int] = {}
    for demand in demands:
        for sku, quantity in demand.quantities_milli.items():
            key = key_of(demand, sku)
            sums[key] = sums.get(key, 0) + quantity
    return sums


def count_difference(on_hand_milli: int, counted_milli: int, moved_since_milli: int) -> int:
    """Return what a count adds to on_hand.

    A count is compared with the records at its own time, so what moved since then stays.
    """
    return counted_milli - (on_hand_milli - moved_since_milli)
