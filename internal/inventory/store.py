"""The SQL of stock: guarded changes of a whole batch in one statement, and their movements."""

import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.inventory import exceptions
from internal.inventory.messages import Movement, StockKey, StockLevel
from internal.kernel import local_days

STOCK = sa.Table(
    "stock",
    db.METADATA,
    columns.growing_key("stock_key"),
    columns.ident("merchant_id"),
    columns.ident("location_id"),
    columns.ident("sku"),
    columns.words("lot", columns.ID_CHARS_MAX),
    columns.number("on_hand_milli", default=0),
    columns.number("reserved_milli", default=0),
    columns.number("sealed_milli", default=0),
    columns.number("counted_at_us", nullable=True),
    sa.UniqueConstraint("merchant_id", "location_id", "sku", "lot", name="stock_once"),
    sa.CheckConstraint("reserved_milli >= 0", name="stock_reserved_not_negative"),
)

STOCK_MOVEMENTS = sa.Table(
    "stock_movements",
    db.METADATA,
    columns.number("business_day", primary_key=True),
    columns.code("source_kind", primary_key=True),
    columns.number("source_key", primary_key=True),
    columns.number("movement_no", primary_key=True),
    columns.ident("merchant_id"),
    columns.ident("location_id"),
    columns.ident("sku"),
    columns.words("lot", columns.ID_CHARS_MAX),
    columns.code("reason"),
    columns.number("quantity_milli"),
    columns.number("unit_cost_scaled", nullable=True),
    columns.number("unit_cost_scale", nullable=True),
    columns.number("actor_key", nullable=True),
    columns.number("happened_at_us"),
    columns.number("recorded_at_us"),
    info=columns.APPEND_ONLY,
)

_KEY = ("merchant_id", "location_id", "sku", "lot")
_LEVEL = bulk.shape_of(STOCK, *_KEY)
_CHANGE = bulk.shape_of(STOCK, *_KEY, quantity_milli=STOCK.c.reserved_milli)
_COUNTED = bulk.shape_of(STOCK, *_KEY, "counted_at_us")
_MOVEMENT = tuple(name for name in STOCK_MOVEMENTS.c.keys() if name not in _KEY)  # noqa: SIM118
_MOVEMENT_VALUES: Callable[[Movement], bulk.Values] = operator.attrgetter(
    *_MOVEMENT, *(f"key.{name}" for name in _KEY)
)
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
        key for key, level in levels.items() if level.available_milli < wanted[key] * PLENTY_BATCHES
    ]
    return levels | lock_levels(connection, sorted(scarce))


def _levels(
    connection: sa.Connection, keys: Sequence[StockKey], *, lock: bool
) -> dict[StockKey, StockLevel]:
    rows = bulk.select(
        connection,
        _LEVEL,
        "SELECT t.merchant_id, t.location_id, t.sku, t.lot, t.on_hand_milli, t.reserved_milli"
        " FROM {w} CROSS JOIN stock t ON t.merchant_id = {w.merchant_id}"
        " AND t.location_id = {w.location_id} AND t.sku = {w.sku} AND t.lot = {w.lot}",
        [_row(key) for key in keys],
        lock=lock,
    )
    return {StockKey(*row[:4]): StockLevel(row[4], row[5]) for row in rows}


def reserve(connection: sa.Connection, quantities: Mapping[StockKey, int]) -> None:
    """Reserve stock. A guard in SQL prevents reserving more than is available.

    Raises:
        Conflict: a row changed since it was read; repeat the whole transaction.
    """
    _change(
        connection,
        quantities,
        (("reserved_milli", "t.reserved_milli + {w.quantity_milli}"),),
        "t.on_hand_milli - t.reserved_milli >= {w.quantity_milli}",
    )


def exchange(
    connection: sa.Connection,
    reservations: Mapping[StockKey, int],
    released: Mapping[StockKey, int],
) -> None:
    """Reserve and release stock, with all rows locked in one order."""
    if reservations and released:
        lock_levels(connection, sorted({*reservations, *released}))
    release(connection, released)
    reserve(connection, reservations)


def release(connection: sa.Connection, quantities: Mapping[StockKey, int]) -> None:
    """Release reserved stock.

    Raises:
        Conflict: as for reserve.
    """
    changes = (("reserved_milli", "t.reserved_milli - {w.quantity_milli}"),)
    _change(connection, quantities, changes, _IS_RESERVED)


def commit(connection: sa.Connection, quantities: Mapping[StockKey, int]) -> None:
    """Turn reservations into sales. The caller adds the movements.

    What is on hand is not guarded: goods that are sold are gone, whatever a count has found.

    Raises:
        Conflict: as for reserve.
    """
    _change(
        connection,
        quantities,
        (
            ("on_hand_milli", "t.on_hand_milli - {w.quantity_milli}"),
            ("reserved_milli", "t.reserved_milli - {w.quantity_milli}"),
        ),
        _IS_RESERVED,
    )


_IS_RESERVED = "t.reserved_milli >= {w.quantity_milli}"


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
    rows = [_MOVEMENT_VALUES(m) for m in movements]
    bulk.insert_deferred(connection, STOCK_MOVEMENTS, (*_MOVEMENT, *_KEY), rows)


def move(
    connection: sa.Connection, movements: Sequence[Movement], owner: str
) -> dict[StockKey, StockLevel]:
    """Change on_hand by what has happened, and insert the movements; return the new levels.

    Nothing is refused. Where less is left than is reserved, an exception is opened; only these
    movements can bring stock there, because `reserve` is guarded and a sale takes from both.

    Args:
        connection: in a transaction.
        movements: the changes; a key may come several times. Rows that are missing are made.
        owner: the person who deals with exceptions.

    Raises:
        Conflict: another instance made one of the rows; repeat the whole transaction.
    """
    moved: Counter[StockKey] = Counter()
    for movement in movements:
        moved[movement.key] += movement.quantity_milli
    existing = lock_levels(connection, sorted(moved))
    _make(connection, sorted(moved.keys() - existing.keys()))
    rows = [(*_row(key), moved[key]) for key in sorted(moved)]
    changes = (("on_hand_milli", "t.on_hand_milli + {w.quantity_milli}"),)
    bulk.update(connection, STOCK, _CHANGE, _KEY, changes, rows)
    add_movements(connection, movements)
    levels = lock_levels(connection, sorted(moved))
    short = [key for key, level in levels.items() if level.available_milli < 0]
    exceptions.open_for(connection, short, owner, movements[0].recorded_at_us)
    return levels


def _make(connection: sa.Connection, keys: Sequence[StockKey]) -> None:
    rows = [_row(key) for key in keys]
    conflict = "another instance made a stock row at the same time"
    bulk.insert_deferred(connection, STOCK, _KEY, rows, conflict)


def note_counts(connection: sa.Connection, keys: Sequence[StockKey], at_us: int) -> None:
    """Note that these rows were counted at `at_us`, unless a later count is noted already."""
    rows = [(*_row(key), at_us) for key in sorted(keys)]
    later = "t.counted_at_us IS NULL OR t.counted_at_us < {w.counted_at_us}"
    changes = bulk.assign("counted_at_us")
    bulk.update(connection, STOCK, _COUNTED, _KEY, changes, rows, later)


def moved_since(
    connection: sa.Connection, keys: Sequence[StockKey], at_us: int
) -> Counter[StockKey]:
    """Return what moved at these rows after `at_us`.

    Reads the business days since then, and none before: a sale of an earlier day that arrives late
    happened before.
    """
    t, wanted = STOCK_MOVEMENTS.c, set(keys)
    by_key = tuple(t[name] for name in _KEY)
    query = sa.select(*by_key, sa.func.sum(t.quantity_milli)).where(
        t.business_day >= local_days.earliest_business_day(at_us),
        t.merchant_id.in_({key.merchant_id for key in keys}),
        t.happened_at_us > at_us,
    )
    rows = connection.execute(query.group_by(*by_key))
    sums = {StockKey(*row[:4]): int(row[4]) for row in rows}
    return Counter({key: sums[key] for key in wanted & sums.keys()})


def list_levels(
    connection: sa.Connection, merchant_id: str, location_id: str = "", sku: str = ""
) -> list[tuple[StockKey, StockLevel]]:
    """Return the merchant's stock, of one location or sku if given, sorted by key."""
    t = STOCK.c
    by_key = tuple(t[name] for name in _KEY)
    query = sa.select(*by_key, t.on_hand_milli, t.reserved_milli)
    query = query.where(t.merchant_id == merchant_id)
    if location_id:
        query = query.where(t.location_id == location_id)
    if sku:
        query = query.where(t.sku == sku)
    rows = connection.execute(query.order_by(*by_key))
    return [(StockKey(*row[:4]), StockLevel(row[4], row[5])) for row in rows]


def _row(key: StockKey) -> tuple[str, str, str, str]:
    return key.merchant_id, key.location_id, key.sku, key.lot
