"""Settings that are fixed when the tables are made: stored there, and compared at every start.

With another value, an order's next message would take another way than its earlier ones, and could
overtake them.
"""

import sqlalchemy as sa

from internal.infra import columns, db, settings
from internal.kernel import errors

FIXED_SETTINGS = sa.Table(
    "fixed_settings",
    db.METADATA,
    columns.code("name", primary_key=True),
    columns.number("value"),
)

CONSEQUENCES = {
    "shard_keys": "open orders would change their keys, and their messages overtake earlier ones",
    "partitions": "messages of one order would lie on two partitions, and overtake each other",
}
"""What another value of each would do."""


def keep(connection: sa.Connection, chosen: settings.TopicSettings) -> None:
    """Store the settings of a database that has none yet; compare those of any other.

    Raises:
        Misconfigured: one has another value than the stored one.
        Conflict: another process stores them too; repeat the whole transaction.
    """
    require(connection, chosen)
    missing = CONSEQUENCES.keys() - _stored(connection).keys()
    rows = [{"name": name, "value": getattr(chosen, name)} for name in sorted(missing)]
    try:
        if rows:
            connection.execute(FIXED_SETTINGS.insert(), rows)
    except sa.exc.IntegrityError as error:
        raise errors.Conflict("another process stores the fixed settings") from error


def require(connection: sa.Connection, chosen: settings.TopicSettings) -> None:
    """Compare the settings with the stored ones; one that is not stored may have any value.

    Raises:
        Misconfigured: one has another value than the stored one.
    """
    for name, value in _stored(connection).items():
        wanted = getattr(chosen, name)
        if wanted != value:
            raise errors.Misconfigured(
                f"SOUK_TOPICS__{name.upper()} is {wanted}, and this database was made with {value}:"
                f" {CONSEQUENCES[name]}; set it back"
            )


def _stored(connection: sa.Connection) -> dict[str, int]:
    query = sa.select(FIXED_SETTINGS).where(FIXED_SETTINGS.c.name.in_(CONSEQUENCES))
    return {row.name: row.value for row in connection.execute(query)}
