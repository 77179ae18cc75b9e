"""The SQL of stock: guarded changes of a whole batch in one statement, and their movements."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.inventory.messages import Movement, StockKey, StockLevel

STOCK = sa.Table(
    "stock",
    db.METADATA,
    columns.ident("merchant_id", primary_key=True),
    columns.ident("store_id", primary_key=True),
    columns.ident("sku", primary_key=True),
    columns.number("on_hand", default=0),
    columns.number("reserved", default=0),
    sa.CheckConstraint("on_hand >= 0", name="stock_on_hand_not_negative"),
    sa.CheckConstraint("reserved >= 0", name="stock_reserved_not_negative"),
)

STOCK_MOVEMENTS = sa.Table(
    "stock_movements",
    db.METADATA,
    columns.growing_key("movement_key"),
    columns.ident("merchant_id"),
    columns.ident("store_id"),
    columns.ident("sku"),
    columns.code("kind"),
    columns.number("quantity"),
    columns.number("order_key", nullable=True),
    columns.number("at_us"),
    sa.UniqueConstraint("order_key", "sku", name="stock_movements_once_per_order"),
    info=columns.APPEND_ONLY,
)

_KEY = ("merchant_id", "store_id", "sku")
_LEVEL = bulk.shape_of(STOCK, *_KEY)
_CHANGE = bulk.shape_of(STOCK, *_KEY, quantity=STOCK.c.reserved)
PLENTY_BATCHES = 32
"""Stock that suffices for this many batches like the present one is plenty: twice the number of
shards, and so of the stages that can record at the same time.
"""


def find_levels(connection: sa.Connection, keys: Sequence[StockKey]) -> dict[StockKey, StockLevel]:
    """Read stock rows without locking them."""
    return _levels(connection, keys, lock=False)


def lock_levels(connection: sa.Connection, keys: Sequence[StockKey]) -> dict[StockKey, StockLevel]:
    """Read stock rows and lock them until the transaction ends. `keys` must be sorted."""
    return _levels(connection, keys, lock=True)


def levels_for(
    connection: sa.Connection, wanted: Mapping[StockKey, int]
) -> dict[StockKey, StockLevel]:
    """Read the stock rows of `wanted`, and lock those that may not suffice.

    Plentiful rows stay unlocked: a batch touches every product that sells, so its locks would stop
    all other batches until its commit. `reserve` checks again and raises Conflict on a shortage.
    """
    levels = find_levels(connection, sorted(wanted))
    scarce = [
        key for key, level in levels.items() if level.available < wanted[key] * PLENTY_BATCHES
    ]
    return levels | lock_levels(connection, sorted(scarce))


def _levels(
    connection: sa.Connection, keys: Sequence[StockKey], *, lock: bool
) -> dict[StockKey, StockLevel]:
    rows = bulk.select(
        connection,
        _LEVEL,
        "SELECT t.merchant_id, t.store_id, t.sku, t.on_hand, t.reserved FROM {w} CROSS JOIN stock t"
        " ON t.merchant_id = {w.merchant_id} AND t.store_id = {w.store_id} AND t.sku = {w.sku}",
        [_row(key) for key in keys],
        lock=lock,
    )
    return {StockKey(*row[:3]): StockLevel(row[3], row[4]) for row in rows}


def reserve(connection: sa.Connection, quantities: Mapping[StockKey, int]) -> None:
    """Reserve stock. A guard in SQL prevents reserving more than is available.

    Raises:
        Conflict: a row changed since it was read; repeat the whole transaction.
    """
    _change(
        connection,
        quantities,
        (("reserved", "t.reserved + {w.quantity}"),),
        "t.on_hand - t.reserved >= {w.quantity}",
    )


def release(connection: sa.Connection, quantities: Mapping[StockKey, int]) -> None:
    """Release reserved stock.

    Raises:
        Conflict: as for reserve.
    """
    changes = (("reserved", "t.reserved - {w.quantity}"),)
    _change(connection, quantities, changes, "t.reserved >= {w.quantity}")


def commit(connection: sa.Connection, quantities: Mapping[StockKey, int]) -> None:
    """Turn reservations into sales. The caller adds the movements.

    Raises:
        Conflict: as for reserve.
    """
    _change(
        connection,
        quantities,
        (("on_hand", "t.on_hand - {w.quantity}"), ("reserved", "t.reserved - {w.quantity}")),
        "t.reserved >= {w.quantity} AND t.on_hand >= {w.quantity}",
    )


def _change(
    connection: sa.Connection,
    quantities: Mapping[StockKey, int],
    changes: bulk.Changes,
    guard: str,
) -> None:
    rows = [(*_row(key), quantities[key]) for key in sorted(quantities)]
    guarded = bulk.Guard(guard, "stock rows changed under this transaction")
    bulk.update_deferred(connection, STOCK, _CHANGE, _KEY, changes, rows, guarded)


def add_movements(connection: sa.Connection, movements: Sequence[Movement]) -> None:
    """Insert the movement rows."""
    names = (*_KEY, "kind", "quantity", "order_key", "at_us")
    rows = [(*_row(m.key), m.kind, m.quantity, m.order_key, m.at_us) for m in movements]
    bulk.insert_deferred(connection, STOCK_MOVEMENTS, names, rows)


def receive(connection: sa.Connection, movements: Sequence[Movement]) -> None:
    """Add received and first counted units to on_hand, and insert their movements."""
    existing = lock_levels(connection, sorted({movement.key for movement in movements}))
    new = [(*_row(key), 0, 0) for key in sorted({m.key for m in movements} - existing.keys())]
    bulk.insert(connection, STOCK, (*_KEY, "on_hand", "reserved"), new)
    sums: dict[StockKey, int] = {}
    for movement in movements:
        sums[movement.key] = sums.get(movement.key, 0) + movement.quantity
    changes = (("on_hand", "t.on_hand + {w.quantity}"),)
    _change(connection, sums, changes, "t.on_hand + {w.quantity} >= 0")
    add_movements(connection, movements)


def list_levels(
    connection: sa.Connection, merchant_id: str, store_id: str = "", sku: str = ""
) -> list[tuple[StockKey, StockLevel]]:
    """Return the merchant's stock, of one store or sku if given, sorted by store and sku."""
    query = sa.select(STOCK).where(STOCK.c.merchant_id == merchant_id)
    if store_id:
        query = query.where(STOCK.c.store_id == store_id)
    if sku:
        query = query.where(STOCK.c.sku == sku)
    rows = connection.execute(query.order_by(STOCK.c.store_id, STOCK.c.sku))
    return [(StockKey(*row[:3]), StockLevel(row[3], row[4])) for row in rows]


def _row(key: StockKey) -> tuple[str, str, str]:
    return key.merchant_id, key.store_id, key.sku
