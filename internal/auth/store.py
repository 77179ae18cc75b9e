"""The SQL of merchants and their API keys."""

import sqlalchemy as sa

from internal.auth import rules
from internal.auth.messages import IssuedKey, Merchant
from internal.infra import columns, db
from internal.kernel import errors

MERCHANTS = sa.Table(
    "merchants",
    db.METADATA,
    columns.ident("merchant_id", primary_key=True),
    columns.words("name", 200),
    columns.number("catalogue_version", default=0),
    columns.number("created_at_us"),
)

API_KEYS = sa.Table(
    "api_keys",
    db.METADATA,
    columns.code("key_id", primary_key=True),
    columns.ident("merchant_id"),
    columns.code("key_hash", chars_max=64),
    columns.code("kind", default="MERCHANT"),
    columns.words("name", 200),
    columns.optional_ident("store_id"),
    columns.optional_ident("terminal_id"),
    columns.words("scopes"),
    columns.number("expires_at_us", nullable=True),
    columns.number("created_at_us"),
    columns.number("revoked_at_us", nullable=True),
    sa.Index("api_keys_by_merchant", "merchant_id"),
)


def add_merchant(
    connection: sa.Connection, merchant: Merchant, key: IssuedKey, now_us: int
) -> None:
    """Add a merchant with its first key.

    Raises:
        InvalidInput: a merchant of this id exists.
    """
    row = {"merchant_id": merchant.merchant_id, "name": merchant.name, "created_at_us": now_us}
    try:
        connection.execute(MERCHANTS.insert().values(row))
    except sa.exc.IntegrityError:
        what = f"{merchant.merchant_id} exists already; rotate-key gives it a new key"
        raise errors.InvalidInput([("merchant_id", what)]) from None
    _add_key(connection, merchant.merchant_id, key, now_us)


def rotate_key(
    connection: sa.Connection, merchant_id: str, key: IssuedKey, now_us: int, *, keep_old: bool
) -> None:
    """Give a merchant a new key, and revoke its other keys unless `keep_old`.

    Raises:
        InvalidInput: the merchant does not exist.
    """
    if find_merchant(connection, merchant_id) is None:
        raise errors.InvalidInput([("merchant_id", f"there is no merchant {merchant_id}")])
    if not keep_old:
        old = (API_KEYS.c.merchant_id == merchant_id) & API_KEYS.c.revoked_at_us.is_(None)
        connection.execute(API_KEYS.update().where(old).values(revoked_at_us=now_us))
    _add_key(connection, merchant_id, key, now_us)


def _add_key(connection: sa.Connection, merchant_id: str, key: IssuedKey, now_us: int) -> None:
    row = {"key_id": key.key_id, "merchant_id": merchant_id, "key_hash": key.key_hash}
    connection.execute(API_KEYS.insert().values(row | {"created_at_us": now_us}))


def merchant_of(connection: sa.Connection, secret: str) -> str | None:
    """Return the id of the merchant with this key; None if it is wrong, unknown or revoked."""
    key_id = rules.key_id_of(secret)
    if key_id is None:
        return None
    query = sa.select(API_KEYS.c.merchant_id, API_KEYS.c.key_hash).where(
        API_KEYS.c.key_id == key_id, API_KEYS.c.revoked_at_us.is_(None)
    )
    row = connection.execute(query).one_or_none()
    return row.merchant_id if row and rules.is_right(secret, row.key_hash) else None


def find_merchant(connection: sa.Connection, merchant_id: str) -> Merchant | None:
    """Return the merchant of this id, or None."""
    query = sa.select(MERCHANTS.c.merchant_id, MERCHANTS.c.name)
    row = connection.execute(query.where(MERCHANTS.c.merchant_id == merchant_id)).one_or_none()
    return Merchant(*row) if row else None


def list_merchants(connection: sa.Connection) -> list[Merchant]:
    """Return all merchants, sorted by id."""
    query = sa.select(MERCHANTS.c.merchant_id, MERCHANTS.c.name).order_by(MERCHANTS.c.merchant_id)
    return [Merchant(*row) for row in connection.execute(query)]


def next_catalogue_version(connection: sa.Connection, merchant_id: str) -> int:
    """Count the version of a merchant's catalogue up, and return it; lock the merchant's row."""
    this = MERCHANTS.c.merchant_id == merchant_id
    version = MERCHANTS.c.catalogue_version
    connection.execute(MERCHANTS.update().where(this).values(catalogue_version=version + 1))
    found: int = connection.execute(sa.select(version).where(this)).scalar_one()
    return found
