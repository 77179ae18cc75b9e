"""The SQL of the business days of orders."""

import sqlalchemy as sa

from internal.orders import tables


def newest(connection: sa.Connection, merchant_id: str, store_id: str) -> int | None:
    """Return the newest business day of a store's orders, as YYYYMMDD; None without orders."""
    t = tables.ORDERS.c
    query = (
        sa.select(t.business_day)
        .where(t.merchant_id == merchant_id, t.store_id == store_id)
        .order_by(t.business_day.desc())
        .limit(1)
    )
    found: int | None = connection.execute(query).scalar()
    return found
