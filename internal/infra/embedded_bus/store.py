"""The embedded bus's tables, and all of its SQL: plain functions that take a connection first.

One row per message, one row per durable subscription: `acknowledged_to` is the highest message it
acknowledged, `holes` are older ones that it did not, and messages up to `mark_delete` are no longer
needed. The tables are the bus's own; it creates them, and no other module reads or writes them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from internal.infra import bulk, bus
from internal.infra.embedded_bus import values
from internal.kernel import errors

SCHEMA_VERSION = 1

TABLES = sa.MetaData()

SCHEMA = sa.Table("bus_schema", TABLES, sa.Column("version", sa.Integer, nullable=False))

TOPICS = sa.Table(
    "bus_topics",
    TABLES,
    sa.Column("topic_id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
)

SUBSCRIPTIONS = sa.Table(
    "bus_subscriptions",
    TABLES,
    sa.Column("subscription_id", sa.Integer, primary_key=True),
    sa.Column("topic_id", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("acknowledged_to", sa.Integer, nullable=False),
    sa.Column("mark_delete", sa.Integer, nullable=False),
    sa.Column("holes", sa.Text, nullable=False),
    sa.UniqueConstraint("topic_id", "name"),
    sqlite_autoincrement=True,
)

MESSAGES = sa.Table(
    "bus_messages",
    TABLES,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("topic_id", sa.Integer, nullable=False, index=True),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("is_base64", sa.Integer, nullable=False),
    sa.Column("properties", sa.Text, nullable=False),
    sa.Column("orders", sa.Integer, nullable=False),
    sa.Column("published_at_us", sa.Integer, nullable=False),
    sqlite_autoincrement=True,
)

MESSAGE_COLUMNS = tuple(column.name for column in MESSAGES.columns)
CURSOR_COLUMNS = ("subscription_id", "acknowledged_to", "mark_delete", "holes")
CURSOR_SHAPE = bulk.shape_of(SUBSCRIPTIONS, *CURSOR_COLUMNS)
CURSOR_CHANGES = bulk.assign(*CURSOR_COLUMNS[1:])

GLANCE = sa.text("""
    SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'bus_messages'), 0),
           coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'bus_subscriptions'), 0)
""")
SUBSCRIBED = sa.text("""
    SELECT s.subscription_id, t.topic_id, t.name AS topic, s.name
    FROM bus_subscriptions s JOIN bus_topics t ON t.topic_id = s.topic_id
""")
ADD_TOPIC = sa.text("INSERT INTO bus_topics (name) VALUES (:topic) ON CONFLICT DO NOTHING")
ADD_SUBSCRIPTION = sa.text("""
    INSERT INTO bus_subscriptions (topic_id, name, acknowledged_to, mark_delete, holes)
    SELECT t.topic_id, :name, start, start, '[]'
    FROM bus_topics t
    CROSS JOIN (SELECT coalesce(min(s.mark_delete), :head) AS start
                FROM bus_subscriptions s JOIN bus_topics o ON o.topic_id = s.topic_id
                WHERE o.name = :topic)
    WHERE t.name = :topic
    ON CONFLICT DO NOTHING
""")
DROP_SUBSCRIPTION = sa.text("""
    DELETE FROM bus_subscriptions
    WHERE name = :name AND topic_id = (SELECT topic_id FROM bus_topics WHERE name = :topic)
""")
COUNT_BETWEEN = sa.text("""
    SELECT topic_id, count(*), sum(orders) FROM bus_messages
    WHERE seq > :after AND seq <= :to GROUP BY topic_id
""")
CURSOR = sa.text("""
    SELECT subscription_id, topic_id, acknowledged_to, holes FROM bus_subscriptions
    WHERE subscription_id = :subscription_id
""")
BACKLOG = sa.text("""
    SELECT count(*), coalesce(sum(orders), 0) FROM bus_messages
    WHERE topic_id = :topic_id AND seq > :mark_delete
    AND (seq > :acknowledged_to OR seq IN (SELECT value FROM json_each(:holes)))
""")
OLDEST = sa.text("""
    SELECT published_at_us FROM bus_messages
    WHERE topic_id = :topic_id AND seq > :mark_delete
    AND (seq > :acknowledged_to OR seq IN (SELECT value FROM json_each(:holes)))
    ORDER BY seq LIMIT 1
""")
TRIM = sa.text("""
    DELETE FROM bus_messages WHERE seq IN (
        SELECT seq FROM bus_messages
        WHERE topic_id = :topic_id
        AND seq <= (SELECT coalesce(min(mark_delete), :head) FROM bus_subscriptions
                    WHERE topic_id = :topic_id)
        ORDER BY seq LIMIT :messages_max)
""")
PAGE = sa.text("""
    SELECT seq, key, payload, is_base64, properties, orders, published_at_us FROM bus_messages
    WHERE topic_id = :topic_id AND seq > :after ORDER BY seq LIMIT :messages_max
""")
PAGE_OF_HOLES = sa.text("""
    SELECT seq, key, payload, is_base64, properties, orders, published_at_us FROM bus_messages
    WHERE seq IN (SELECT value FROM json_each(:holes)) ORDER BY seq LIMIT :messages_max
""")

_read_properties = msgspec.json.Decoder(dict[str, str]).decode
_read_holes = msgspec.json.Decoder(list[int]).decode


def open_tables(connection: sa.Connection) -> None:
    """Create the tables that are missing.

    Raises:
        Misconfigured: a newer Souk wrote this file.
    """
    TABLES.create_all(connection)
    found = connection.execute(sa.select(sa.func.max(SCHEMA.c.version))).scalar()
    if found is None:
        connection.execute(SCHEMA.insert().values(version=SCHEMA_VERSION))
    elif found > SCHEMA_VERSION:
        raise errors.Misconfigured(
            f"the tables of the bus have version {found}, this Souk knows {SCHEMA_VERSION} at most:"
            " open this file with the newer Souk that wrote it"
        )


def look(connection: sa.Connection) -> tuple[int, values.Catalog]:
    """Return the number of the newest message, and the catalog."""
    head, newest = connection.execute(GLANCE).one()
    return head, _read_catalog(connection, newest)


def newest(connection: sa.Connection) -> int:
    """Return the number of the newest message that was ever stored; 0 without any."""
    return int(connection.execute(GLANCE).one()[0])


def ensure(connection: sa.Connection, wanted: Sequence[tuple[str, str]]) -> values.Catalog:
    """Create the missing (topic, subscription) pairs; return the catalog.

    A new subscription starts where its topic's slowest one is: older messages are not kept.
    """
    head, _ = connection.execute(GLANCE).one()
    for topic, name in wanted:
        connection.execute(ADD_TOPIC, {"topic": topic})
        connection.execute(ADD_SUBSCRIPTION, {"topic": topic, "name": name, "head": head})
    return look(connection)[1]


def drop(connection: sa.Connection, topic: str, name: str) -> values.Catalog:
    """Delete a subscription; return the catalog. What it alone has kept is left over."""
    connection.execute(DROP_SUBSCRIPTION, {"topic": topic, "name": name})
    return look(connection)[1]


def commit(connection: sa.Connection, work: values.Work) -> values.Done:
    """Append, move, trim. It may run several times: all of its input is in `work`."""
    before, newest = connection.execute(GLANCE).one()
    is_known = newest == work.catalog.newest
    catalog = work.catalog if is_known else _read_catalog(connection, newest)
    rows = _rows(work.messages, catalog.topics, before)
    bulk.insert(connection, MESSAGES, MESSAGE_COLUMNS, rows)
    _move(connection, work.cursors)
    return values.Done(
        before=before,
        after=before + len(rows),
        catalog=catalog,
        others=_count_between(connection, work.head, before),
        trimmed_messages=trim(connection, work.trim) if work.trim else 0,
    )


def trim(connection: sa.Connection, what: values.Trim) -> int:
    """Delete messages that no subscription needs; return how many."""
    head, _ = connection.execute(GLANCE).one()
    return connection.execute(TRIM, {**msgspec.structs.asdict(what), "head": head}).rowcount


def notice(connection: sa.Connection, head: int) -> values.Noticed:
    """Count the messages published after `head`."""
    now, _ = connection.execute(GLANCE).one()
    return values.Noticed(now, _count_between(connection, head, now))


def attach(connection: sa.Connection, subscription_id: int, head: int) -> values.Attached:
    """Return a subscription's position, its backlog, and what was published after `head`."""
    noticed = notice(connection, head)
    cursor = _read_cursor(connection, subscription_id)
    return values.Attached(cursor, _count_backlog(connection, cursor), noticed)


def backlog(connection: sa.Connection, subscription_id: int) -> values.Count:
    """Count what a subscription has not acknowledged, as far as that is stored."""
    return _count_backlog(connection, _read_cursor(connection, subscription_id))


def oldest_at_us(connection: sa.Connection, subscription_id: int) -> int | None:
    """Return when the oldest message of `backlog` was published, None without any."""
    place = _place(_read_cursor(connection, subscription_id))
    return connection.execute(OLDEST, place).scalar()


def read_page(connection: sa.Connection, request: values.PageRequest) -> values.Page:
    """Read messages in order up to the limits; at least one message, if there is any."""
    head, _ = connection.execute(GLANCE).one()
    found: list[values.Stored] = []
    room_bytes = request.bytes_max
    with _select_page(connection, request) as rows:
        for row in rows:
            found.append(_stored(request.topic, row))
            room_bytes -= found[-1].size_bytes
            if room_bytes <= 0:
                break
    is_full = room_bytes <= 0 or len(found) == request.messages_max
    end = request.holes[-1] if request.holes else head
    return values.Page(found, found[-1].seq if is_full else end)


def _read_catalog(connection: sa.Connection, newest: int) -> values.Catalog:
    rows = connection.execute(SUBSCRIBED).all()
    return values.Catalog(
        newest,
        {row.topic: row.topic_id for row in rows},
        {(row.topic, row.name): row.subscription_id for row in rows},
    )


def _read_cursor(connection: sa.Connection, subscription_id: int) -> values.Cursor:
    row = connection.execute(CURSOR, {"subscription_id": subscription_id}).one()
    return values.Cursor(
        row.subscription_id, row.topic_id, row.acknowledged_to, _read_holes(row.holes)
    )


def _count_backlog(connection: sa.Connection, cursor: values.Cursor) -> values.Count:
    found = connection.execute(BACKLOG, _place(cursor)).one()
    return values.Count(*found)


def _rows(
    prepared: Sequence[values.Prepared], topics: Mapping[str, int], before: int
) -> list[bulk.Values]:
    kept = [each for each in prepared if each.message.topic in topics]
    return [
        (
            seq,
            topics[each.message.topic],
            each.message.key,
            each.text,
            each.is_base64,
            each.properties,
            each.orders,
            each.published_at_us,
        )
        for seq, each in enumerate(kept, before + 1)
    ]


def _move(connection: sa.Connection, cursors: Sequence[values.Cursor]) -> None:
    rows = [
        (
            cursor.subscription_id,
            cursor.acknowledged_to,
            cursor.mark_delete,
            _as_json(cursor.holes),
        )
        for cursor in cursors
    ]
    keys, changes = CURSOR_COLUMNS[:1], CURSOR_CHANGES
    bulk.update(connection, SUBSCRIPTIONS, CURSOR_SHAPE, keys=keys, changes=changes, rows=rows)


def _count_between(connection: sa.Connection, after: int, to: int) -> Mapping[int, values.Count]:
    if to <= after:
        return {}
    rows = connection.execute(COUNT_BETWEEN, {"after": after, "to": to})
    return {topic_id: values.Count(count, orders) for topic_id, count, orders in rows}


def _place(cursor: values.Cursor) -> dict[str, int | str]:
    return {
        "topic_id": cursor.topic_id,
        "mark_delete": cursor.mark_delete,
        "acknowledged_to": cursor.acknowledged_to,
        "holes": _as_json(cursor.holes),
    }


def _select_page(
    connection: sa.Connection, request: values.PageRequest
) -> sa.CursorResult[*tuple[Any, ...]]:
    if request.holes:
        which = {"holes": _as_json(request.holes), "messages_max": request.messages_max}
        return connection.execute(PAGE_OF_HOLES, which)
    place = {
        "topic_id": request.topic_id,
        "after": request.after,
        "messages_max": request.messages_max,
    }
    return connection.execute(PAGE, place)


def _stored(topic: str, row: sa.Row[*tuple[Any, ...]]) -> values.Stored:
    seq, key, text, is_base64, properties, orders, published_at_us = row
    delivery = bus.Delivery(
        topic=topic,
        message_id=str(seq),
        key=key,
        payload=values.as_payload(text, is_base64),
        properties=_read_properties(properties),
    )
    return values.Stored(seq, delivery, orders, published_at_us, len(text) + len(properties))


def _as_json(holes: Sequence[int]) -> str:
    return msgspec.json.encode(holes).decode()
