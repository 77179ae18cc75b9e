"""A Souk that is broken on purpose: it promises and sells stock without looking for it.

Everything else is the real engine.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import sqlalchemy as sa

from internal.inventory import rules as inventory_rules
from internal.inventory import store as inventory_store
from internal.inventory.messages import Demand, Shortage, StockKey

_guarded_change = inventory_store._change


def allocate_blindly(
    levels: object, demands: Sequence[Demand]
) -> tuple[list[Shortage | None], dict[StockKey, int]]:
    """Stand in for inventory.rules.allocate."""
    del levels
    return [None] * len(demands), inventory_rules.total(demands)


def change_blindly(
    connection: sa.Connection, quantities: Mapping[StockKey, int], changes: str, guard: str
) -> None:
    """Stand in for the guarded statement of inventory.store."""
    del guard
    _guarded_change(connection, quantities, changes, "1 = 1")


def take_over() -> None:
    """Put itself in the place of the real one."""
    inventory_rules.allocate = allocate_blindly
    inventory_store._change = change_blindly


if __name__ == "__main__":
    from internal.host import start
    from internal.seeds import demo_shop

    take_over()
    start.run(demo_shop.seed, Path(__file__))
