"""Facts that wait for their way onto a topic, written in the transaction that made them true.

A row is there until the broker has its receipt: rows are found by presence, since a key that is
committed late would be lost by "above the last one". Facts of one subject keep their order if their
transactions hold the subject's lock when they add them. Must not know a noun.
"""

import zlib
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.kernel import facts, ids
from internal.kernel.facts import Fact

OUTBOX = sa.Table(
    "outbox",
    db.METADATA,
    columns.growing_key("outbox_key"),
    columns.number("shard"),
    columns.code("subject", chars_max=300),
    columns.code("topic", chars_max=200),
    columns.code("event_id", chars_max=64),
    columns.document("fact"),
    columns.number("leased_until_us", nullable=True),
    columns.number("created_at_us"),
    sa.Index("outbox_by_shard", "shard", "outbox_key"),
)

EVENTS = "events"
"""The topic of facts that no stage takes."""
SHARDS = 16
"""One relay at a time sends the rows of a shard; the shards are independent."""

_NEW = ("shard", "subject", "topic", "event_id", "fact", "created_at_us")


class Waiting(msgspec.Struct, frozen=True):
    """A fact that waits. `event_id` is the same however often it is sent."""

    outbox_key: int
    subject: str
    topic: str
    event_id: str
    fact: str
    created_at_us: int


def subject_of(fact: Fact) -> str:
    """Return the name of what a fact is about: its merchant's, and its own."""
    return f"{fact.merchant_id}/{fact.key}"


def shard_of(subject: str) -> int:
    """Return the shard of a subject, stable over time and machines."""
    return zlib.crc32(subject.encode()) % SHARDS


def add(connection: sa.Connection, batch: Sequence[Fact], now_us: int, topic: str = EVENTS) -> None:
    """Add facts, in their order. No two of them may have the same contents."""
    rows = []
    for fact in batch:
        subject, text = subject_of(fact), facts.encode(fact)
        row = (shard_of(subject), subject, topic, ids.digest(text), text.decode(), now_us)
        rows.append(row)
    bulk.insert_deferred(connection, OUTBOX, _NEW, rows)


def shards(connection: sa.Connection) -> list[int]:
    """Return the shards that have rows, by a look into the index for each of them."""
    first, found = sa.select(sa.func.min(OUTBOX.c.shard)), []
    shard = connection.scalar(first)
    while shard is not None:
        found.append(shard)
        shard = connection.scalar(first.where(OUTBOX.c.shard > shard))
    return found


def take(
    connection: sa.Connection, shard: int, now_us: int, until_us: int, rows_max: int
) -> list[Waiting]:
    """Lease the first rows of a shard, in their order; nothing while another relay has any of it.

    A lease that has ended is another relay's that died: its rows are taken, and sent again.
    """
    t = OUTBOX.c
    names = (*Waiting.__struct_fields__, "leased_until_us")
    query = sa.select(*(t[name] for name in names)).where(t.shard == shard)
    query = query.order_by(t.outbox_key).limit(rows_max).with_for_update(skip_locked=True)
    rows = connection.execute(query).all()
    first = connection.execute(
        sa.select(sa.func.min(t.outbox_key)).where(t.shard == shard)
    ).scalar()
    if not rows or rows[0].outbox_key != first:
        return []  # another relay locks the rows before these at this moment
    if any(row.leased_until_us is not None and row.leased_until_us > now_us for row in rows):
        return []
    keys = [row.outbox_key for row in rows]
    until = OUTBOX.update().where(t.outbox_key.in_(keys))
    connection.execute(until.values(leased_until_us=until_us))
    return [Waiting(*row[:-1]) for row in rows]


def give_back(connection: sa.Connection, keys: Sequence[int], until_us: int) -> None:
    """End the lease of rows that were not sent, unless they have another one by now."""
    t = OUTBOX.c
    mine = t.outbox_key.in_(keys) & (t.leased_until_us == until_us)
    connection.execute(OUTBOX.update().where(mine).values(leased_until_us=None))


def delete(connection: sa.Connection, keys: Sequence[int]) -> None:
    """Delete rows whose receipt has come."""
    connection.execute(OUTBOX.delete().where(OUTBOX.c.outbox_key.in_(keys)))


def oldest_us(connection: sa.Connection) -> int | None:
    """Return when the oldest row was made; None without any."""
    query = sa.select(OUTBOX.c.created_at_us).order_by(OUTBOX.c.outbox_key).limit(1)
    oldest: int | None = connection.execute(query).scalar()
    return oldest
