"""Actors: the persons, tills and programs that act, by key, so that no journal repeats a name."""

import sqlalchemy as sa

from internal.infra import columns, db

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
