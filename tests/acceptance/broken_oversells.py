"""A Souk that is broken on purpose: it reserves and sells stock without checking the level.

Everything else is the real engine.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import sqlalchemy as sa

from internal.infra import bulk
from internal.inventory import rules as inventory_rules
from internal.inventory import store as inventory_store
from internal.inventory.messages import Demand, Shortage, StockKey

_guarded_change = inventory_store._change


def allocate_unchecked(
    levels: object, demands: Sequence[Demand], taken: Iterable[Demand] = ()
) -> tuple[list[Shortage | None], dict[StockKey, int]]:
    """Replace inventory.rules.allocate."""
    del levels
    return [None] * len(demands), inventory_rules.total([*taken, *demands])


def change_unchecked(
    connection: sa.Connection,
    quantities: Mapping[StockKey, int],
    changes: bulk.Changes,
    guard: str,
) -> None:
    """Replace the guarded statement of inventory.store."""
    del guard
    _guarded_change(connection, quantities, changes, "1 = 1")


def take_over() -> None:
    """Replace the real code."""
    inventory_rules.allocate = allocate_unchecked
    inventory_store._change = change_unchecked


if __name__ == "__main__":
    from internal.host import command

    take_over()
    sys.exit(command.main(sys.argv[1:], Path(__file__)))
