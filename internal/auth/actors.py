"""Actors: the persons, tills and programs that act, by key, so that no journal repeats a name."""

from collections.abc import Collection

import sqlalchemy as sa

from internal.infra import columns, db
from internal.kernel import errors

OPERATOR = "OPERATOR"
"""A person at the command line."""
API_KEY = "API_KEY"
"""A till or a program, by the id of the key that it shows."""

ACTORS = sa.Table(
    "actors",
    db.METADATA,
    columns.growing_key("actor_key"),
    columns.optional_ident("merchant_id"),
    columns.code("kind"),
    columns.ident("actor_id"),
    columns.number("created_at_us"),
    sa.UniqueConstraint("merchant_id", "kind", "actor_id", name="actors_by_id"),
)


def key_of(connection: sa.Connection, merchant_id: str, kind: str, name: str, now_us: int) -> int:
    """Return the key of an actor, who is added if this is the first time.

    Raises:
        Conflict: another instance adds the same one; repeat the whole transaction.
    """
    actor = {"merchant_id": merchant_id, "kind": kind, "actor_id": name[: columns.ID_CHARS_MAX]}
    t = ACTORS.c
    query = sa.select(t.actor_key).where(*(t[column] == value for column, value in actor.items()))
    known: int | None = connection.execute(query).scalar()
    if known is not None:
        return known
    try:
        added = connection.execute(ACTORS.insert().values(created_at_us=now_us, **actor))
    except sa.exc.IntegrityError as error:
        raise errors.Conflict("another instance adds the same actor") from error
    return int(added.inserted_primary_key[0]) if added.inserted_primary_key else 0


def names_of(connection: sa.Connection, keys: Collection[int]) -> dict[int, str]:
    """Return the names of actors for people, by key: "API_KEY 0123456789ab"."""
    t = ACTORS.c
    query = sa.select(t.actor_key, t.kind, t.actor_id).where(t.actor_key.in_(sorted(keys)))
    return {key: f"{kind} {actor_id}" for key, kind, actor_id in connection.execute(query)}
