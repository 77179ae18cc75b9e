"""What no retry could cure.

One order (or one unreadable message), one reason, its payload kept for a replay. What comes twice
from the same place of the same message is kept once.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from internal.infra import bus, columns, db
from internal.kernel import cards, errors, ids
from internal.orders import due, messages
from internal.pipeline import flow

DEAD_LETTERS = sa.Table(
    "dead_letters",
    db.METADATA,
    columns.growing_key("letter_key"),
    columns.code("stage"),
    columns.code("topic", chars_max=200),
    columns.code("code", chars_max=64),
    columns.words("explanation"),
    columns.words("merchant_id", 64),
    columns.words("order_id", 64),
    columns.document("payload"),
    columns.number("at_us"),
    columns.number("closed_at_us", nullable=True),
    columns.words("closed_by", 16),
    sa.Index("dead_letters_open", "closed_at_us", "letter_key"),
)

SOURCES = sa.Table(
    "dead_letter_sources",
    db.METADATA,
    columns.code("source", primary_key=True, chars_max=64),
    columns.number("letter_key"),
    columns.words("message_id", 200),
)
"""Where letters came from: the key keeps a message that comes again from making a second letter."""

PAYLOAD_BYTES_MAX = 5_000_000
"""Pulsar takes messages of 5 MiB, with all that goes along."""
CUT = " [cut]"


class Source(msgspec.Struct, frozen=True):
    """Where a letter came from."""

    message_id: str
    """The broker's, unique within the topic; "" if it is not known."""
    place: int
    """Of the order in the message."""


class DeadLetter(msgspec.Struct, frozen=True):
    """A row. `payload` is text; bytes that are no UTF-8 are escaped."""

    stage: str
    topic: str
    code: str
    explanation: str
    merchant_id: str
    order_id: str
    payload: str
    at_us: int
    letter_key: int = 0
    closed_at_us: int | None = None
    closed_by: str = ""


LETTER_PROPERTY = "letter"
"""On the broker's copy of a letter: its key, so that the copy can go when the letter is closed."""


def of_error(
    stage: str,
    topic: str,
    fact: messages.Fact | None,
    payload: bytes,
    error: Exception,
    at_us: int,
) -> DeadLetter:
    """Write a letter; without a fact it is about a message that cannot be read."""
    return DeadLetter(
        stage=stage,
        topic=topic,
        code=error.code if isinstance(error, errors.Poison) else type(error).__name__.upper(),
        explanation=cards.redact(str(error)),
        merchant_id=fact.merchant_id[: columns.ID_CHARS_MAX] if fact else "",
        order_id=fact.order_id[: columns.ID_CHARS_MAX] if fact else "",
        payload=cards.redact(as_text(payload)),
        at_us=at_us,
    )


def copy_of(letter: DeadLetter, letter_key: int) -> bus.Outgoing:
    """Return the copy for the broker: there it is seen by whoever watches topics."""
    properties = {"code": letter.code, "orders": "1", LETTER_PROPERTY: str(letter_key)}
    topic = flow.dead_letter_topic(letter.topic)
    return bus.Outgoing(topic, letter.stage, letter.payload.encode(), properties)


def as_text(payload: bytes) -> str:
    """Return a payload as text: bytes that are no UTF-8 are escaped, what is too long then is cut.

    Escapes are four times as long: a message of noise would be more than a broker takes.
    """
    text = payload.decode(errors="backslashreplace")
    if len(text.encode()) <= PAYLOAD_BYTES_MAX:
        return text
    return text.encode()[:PAYLOAD_BYTES_MAX].decode(errors="ignore") + CUT


def put_aside(connection: sa.Connection, letter: DeadLetter, source: Source, order_key: int) -> int:
    """Keep a letter, and take its order off the janitor's list: only a replay drives it on.

    `order_key` is 0 for one that is not recorded. Returns and raises as `add` does.
    """
    letter_key = add(connection, letter, source)
    if order_key:
        due.clear(connection, order_key, (letter.merchant_id, letter.order_id))
    return letter_key


def add(connection: sa.Connection, letter: DeadLetter, source: Source | None = None) -> int:
    """Keep a letter, unless it came from this source before; return its key.

    Raises:
        Conflict: another instance keeps it too; repeat the whole transaction.
    """
    if source is None or not source.message_id:
        return _insert(connection, letter)
    name = _name_of(letter, source)
    query = sa.select(SOURCES.c.letter_key).where(SOURCES.c.source == name)
    known: int | None = connection.execute(query).scalar()
    if known is not None:
        return known
    letter_key = _insert(connection, letter)
    row = {"source": name, "letter_key": letter_key, "message_id": source.message_id[:200]}
    try:
        connection.execute(SOURCES.insert().values(row))
    except sa.exc.IntegrityError as error:
        raise errors.Conflict("a letter is kept by somebody else too") from error
    return letter_key


def _insert(connection: sa.Connection, letter: DeadLetter) -> int:
    row = msgspec.structs.asdict(letter)
    del row["letter_key"]
    row["explanation"] = letter.explanation[:500]
    inserted = connection.execute(DEAD_LETTERS.insert().values(row)).inserted_primary_key
    return int(inserted[0]) if inserted else 0


def _name_of(letter: DeadLetter, source: Source) -> str:
    """Name a source. With its payload: a broker that was made anew counts from 1 again."""
    place = f"{letter.stage} {letter.topic} {source.message_id} {source.place} {letter.payload}"
    return ids.digest(place.encode())


def list_open(
    connection: sa.Connection, stage: str = "", code: str = "", letters_max: int = 1_000
) -> list[DeadLetter]:
    """Return letters nobody replayed or dropped, oldest first; of one stage or cause if given."""
    table = DEAD_LETTERS.c
    query = sa.select(DEAD_LETTERS).where(table.closed_at_us.is_(None))
    if stage:
        query = query.where(table.stage == stage)
    if code:
        query = query.where(table.code == code)
    rows = connection.execute(query.order_by(table.letter_key).limit(letters_max))
    return [DeadLetter(**row._asdict()) for row in rows]


def find(connection: sa.Connection, letter_key: int) -> DeadLetter | None:
    """Return one letter."""
    query = sa.select(DEAD_LETTERS).where(DEAD_LETTERS.c.letter_key == letter_key)
    row = connection.execute(query).one_or_none()
    return DeadLetter(**row._asdict()) if row else None


def close(connection: sa.Connection, letter_keys: Sequence[int], how: str, at_us: int) -> int:
    """Mark letters as "replayed" or "dropped"; return how many were still open."""
    still_open = DEAD_LETTERS.c.letter_key.in_(letter_keys) & DEAD_LETTERS.c.closed_at_us.is_(None)
    statement = DEAD_LETTERS.update().where(still_open)
    return connection.execute(statement.values(closed_at_us=at_us, closed_by=how)).rowcount
