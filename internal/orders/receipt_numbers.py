"""Receipt numbers: counted per store, without gaps, in the transaction that finalizes."""

from collections.abc import Mapping

import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.kernel import errors

RECEIPT_COUNTERS = sa.Table(
    "receipt_counters",
    db.METADATA,
    columns.ident("merchant_id", primary_key=True),
    columns.ident("store_id", primary_key=True),
    columns.number("last_no", default=0),
    columns.number("sealed_receipts", default=0),
    columns.number("sealed_last_no", default=0),
)

CREATED_BY_ANOTHER = "another instance created the same receipt counter"


def take(
    connection: sa.Connection, wanted: Mapping[tuple[str, str], int]
) -> dict[tuple[str, str], int]:
    """Take `wanted` numbers per (merchant_id, store_id) without gaps; return the first of each run.

    The counters stay locked until the transaction ends, so take them late.

    Raises:
        Conflict: another instance created one of the counters; repeat the whole transaction.
    """
    stores = sorted(wanted)
    shape = bulk.shape_of(
        RECEIPT_COUNTERS, "merchant_id", "store_id", wanted=RECEIPT_COUNTERS.c.last_no
    )
    rows = [(*store, wanted[store]) for store in stores]
    key = ("merchant_id", "store_id")
    changes = (("last_no", "t.last_no + {w.wanted}"),)
    changed = bulk.update(connection, RECEIPT_COUNTERS, shape, key, changes, rows)
    query = (
        "SELECT t.merchant_id, t.store_id, t.last_no - w.wanted + 1 FROM {w}"
        " CROSS JOIN receipt_counters t"
        " ON t.merchant_id = {w.merchant_id} AND t.store_id = {w.store_id}"
    )
    first = {(row[0], row[1]): row[2] for row in bulk.select(connection, shape, query, rows)}
    if changed != len(first):  # one was created since the update, so it was not counted up
        raise errors.Conflict(CREATED_BY_ANOTHER)
    new = [(*store, wanted[store]) for store in stores if store not in first]
    try:
        bulk.insert(connection, RECEIPT_COUNTERS, (*key, "last_no"), new)
    except sa.exc.IntegrityError as error:
        raise errors.Conflict(CREATED_BY_ANOTHER) from error
    return first | {(merchant_id, store_id): 1 for merchant_id, store_id, _ in new}
