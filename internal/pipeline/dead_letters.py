"""What no retry could cure.

One order (or one unreadable message), one reason, its payload kept for a replay. What comes twice
from the same place of the same message is kept once.
"""

from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa

from internal.flow import topics
from internal.infra import bulk, bus, columns, db
from internal.kernel import cards, errors, ids
from internal.orders import deadlines, messages

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
"""Where letters came from: what comes again makes no second letter."""

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
    topic = topics.dead_letter_topic(letter.topic)
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
        deadlines.clear(connection, order_key, ids.OrderRef(letter.merchant_id, letter.order_id))
    return letter_key


def add(connection: sa.Connection, letter: DeadLetter, source: Source | None = None) -> int:
    """Keep a letter, and return its key; the key of the one that is kept already, if it is.

    That is one from the same message, whatever became of it since; or an open one of the same order
    with the same payload: a stage before this one has repeated itself.

    Raises:
        Conflict: another instance keeps it too; repeat the whole transaction.
    """
    if source is None:
        return _insert(connection, letter)
    of_message, of_fact = _name_of_message(letter, source), _name_of_fact(letter)
    known = _key_of(connection, of_message)
    if known is None and (again := _key_of(connection, of_fact)):
        known = again if again not in find_closed(connection, [again]) else None
    letter_key = _insert(connection, letter) if known is None else known
    _name(connection, {of_message, of_fact} - {""}, letter_key, source.message_id)
    return letter_key


def _key_of(connection: sa.Connection, name: str) -> int | None:
    query = sa.select(SOURCES.c.letter_key).where(SOURCES.c.source == name)
    letter_key: int | None = connection.execute(query).scalar() if name else None
    return letter_key


def _name(
    connection: sa.Connection, names: Iterable[str], letter_key: int, message_id: str
) -> None:
    rows = [(name, letter_key, message_id[:200]) for name in sorted(names)]
    try:
        bulk.replace(connection, SOURCES, ("source",), tuple(SOURCES.c.keys()), rows)
    except sa.exc.IntegrityError as error:
        raise errors.Conflict("a letter is kept by somebody else too") from error


def _insert(connection: sa.Connection, letter: DeadLetter) -> int:
    row = msgspec.structs.asdict(letter)
    del row["letter_key"]
    row["explanation"] = letter.explanation[:500]
    inserted = connection.execute(DEAD_LETTERS.insert().values(row)).inserted_primary_key
    return int(inserted[0]) if inserted else 0


def _name_of_message(letter: DeadLetter, source: Source) -> str:
    """Name it by its message. With the payload: a broker that was made anew counts from 1 again."""
    if not source.message_id:
        return ""
    place = f"{letter.stage} {letter.topic} {source.message_id} {source.place} {letter.payload}"
    return ids.digest(place.encode())


def _name_of_fact(letter: DeadLetter) -> str:
    """Name it by what it says, if it is about an order."""
    if not letter.order_id:
        return ""
    return ids.digest(f"{letter.stage} {letter.topic} {letter.payload}".encode())


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


def find_many(connection: sa.Connection, letter_keys: Sequence[int]) -> list[DeadLetter]:
    """Return those of the letters that there are, open or closed, by number."""
    query = sa.select(DEAD_LETTERS).where(DEAD_LETTERS.c.letter_key.in_(letter_keys))
    rows = connection.execute(query.order_by(DEAD_LETTERS.c.letter_key))
    return [DeadLetter(**row._asdict()) for row in rows]


def of_order(connection: sa.Connection, merchant_id: str, order_id: str) -> list[DeadLetter]:
    """Return the letters about an order, open or closed. It looks through all of them."""
    table = DEAD_LETTERS.c
    query = sa.select(DEAD_LETTERS).where(
        table.merchant_id == merchant_id, table.order_id == order_id
    )
    rows = connection.execute(query.order_by(table.letter_key))
    return [DeadLetter(**row._asdict()) for row in rows]


def find_closed(connection: sa.Connection, letter_keys: Sequence[int]) -> set[int]:
    """Return those of the letters that are closed."""
    table = DEAD_LETTERS.c
    is_closed = table.letter_key.in_(letter_keys) & table.closed_at_us.is_not(None)
    return set(connection.execute(sa.select(table.letter_key).where(is_closed)).scalars())


def has_open(connection: sa.Connection, topic: str) -> bool:
    """Tell whether letters are open whose copies went to this topic of dead letters."""
    table = DEAD_LETTERS.c
    with_open = sa.select(table.topic).where(table.closed_at_us.is_(None)).distinct()
    return topic in map(topics.dead_letter_topic, connection.execute(with_open).scalars())


def close(connection: sa.Connection, letter_keys: Sequence[int], how: str, at_us: int) -> int:
    """Mark letters as "replayed" or "dropped"; return how many were still open."""
    still_open = DEAD_LETTERS.c.letter_key.in_(letter_keys) & DEAD_LETTERS.c.closed_at_us.is_(None)
    statement = DEAD_LETTERS.update().where(still_open)
    return connection.execute(statement.values(closed_at_us=at_us, closed_by=how)).rowcount
