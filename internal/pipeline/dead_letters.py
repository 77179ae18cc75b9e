"""Dead letters: facts that no retry can cure.

A letter is one fact (or one unreadable message) with one reason; its payload is kept for a replay.
The private half of its fact, and whatever cannot be read, is held among the private values until
the letter is closed: the row and its copy at the broker only name it.
The same place of the same message makes one letter, however often it comes. Must not know what a
fact is about.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from internal.infra import bulk, bus, columns, db
from internal.kernel import cards, errors, ids
from internal.kernel.facts import Fact
from internal.pipeline import envelope
from internal.privacy import store as privacy_store
from internal.privacy.messages import NOTHING, Private

SUBJECT_CHARS_MAX = 200
DEAD_LETTERS = sa.Table(
    "dead_letters",
    db.METADATA,
    columns.growing_key("letter_key"),
    columns.code("stage"),
    columns.code("topic", chars_max=200),
    columns.code("code", chars_max=64),
    columns.words("explanation"),
    columns.words("subject_kind", 32),
    columns.words("merchant_id", 64),
    columns.words("subject", SUBJECT_CHARS_MAX),
    columns.document("payload"),
    columns.code("held", chars_max=16, default=""),
    columns.number("at_us"),
    columns.number("closed_at_us", nullable=True),
    columns.words("closed_by", 16),
    sa.Index("dead_letters_open", "closed_at_us", "letter_key"),
    sa.Index("dead_letters_by_subject", "subject_kind", "merchant_id", "subject"),
)

SOURCES = sa.Table(
    "dead_letter_sources",
    db.METADATA,
    columns.code("source", primary_key=True, chars_max=64),
    columns.number("letter_key"),
    columns.words("message_id", 200),
    sa.Index("dead_letter_sources_by_letter", "letter_key"),
)
"""The origin of each letter, so that a message that comes again makes no second one."""

PAYLOAD_BYTES_MAX = 5_000_000
"""Pulsar takes messages of 5 MiB, properties included."""
CUT = " [cut]"


class Held(StrEnum):
    """What of a letter is among the private values, under this name."""

    NOTHING = ""
    HALF = "half"
    """The private half of its fact."""
    MESSAGE = "message"
    """All of it: it cannot be read, so anything may be in it. Its payload is a digest then."""


class Source(msgspec.Struct, frozen=True):
    """The origin of a letter."""

    message_id: str
    """The broker's, unique within the topic; "" if it is not known."""
    place: int
    """Of the fact in the message."""


class Place(NamedTuple):
    """Where a letter is written: the stage, and the topic that it read."""

    stage: str
    topic: str


class DeadLetter(msgspec.Struct, frozen=True):
    """A row. `payload` is text; bytes that are not UTF-8 are escaped."""

    stage: str
    topic: str
    code: str
    explanation: str
    subject_kind: str
    merchant_id: str
    subject: str
    """The name of what the fact is about; like its kind and its merchant "" if it is not known."""
    payload: str
    at_us: int
    held: str = Held.NOTHING
    letter_key: int = 0
    closed_at_us: int | None = None
    closed_by: str = ""


class NewLetter(NamedTuple):
    """A letter that is not stored yet, with the text that its `held` names."""

    letter: DeadLetter
    content: str = ""

    def __repr__(self) -> str:
        """Return a text without the content, for tracebacks."""
        return f"NewLetter({self.letter!r}, …)"


LETTER_PROPERTY = "letter"
"""The letter's key on its copy at the broker: the copy is removed when the letter is closed."""


def of_fact(place: Place, fact: Fact, private: Private, error: Exception, at_us: int) -> NewLetter:
    """Make the letter of a fact."""
    letter = DeadLetter(
        *place,
        code=_code_of(error),
        explanation=cards.redact(str(error)),
        subject_kind=fact.subject_kind,
        merchant_id=fact.merchant_id[: columns.ID_CHARS_MAX],
        subject=fact.key[:SUBJECT_CHARS_MAX],
        payload=_text_of(envelope.encode([fact])),
        at_us=at_us,
        held=Held.NOTHING if private == NOTHING else Held.HALF,
    )
    return NewLetter(letter, _text_of(envelope.encode_half(private)) if letter.held else "")


def of_unreadable(place: Place, payload: bytes, error: Exception, at_us: int) -> NewLetter:
    """Make the letter of a message that cannot be read."""
    letter = DeadLetter(
        *place,
        code=_code_of(error),
        explanation=cards.redact(str(error)),
        subject_kind="",
        merchant_id="",
        subject="",
        payload=stand_in(payload),
        at_us=at_us,
        held=Held.MESSAGE,
    )
    return NewLetter(letter, _text_of(payload))


def stand_in(payload: bytes) -> str:
    """Return what the letter of an unreadable message has for a payload."""
    told = {"bytes": len(payload), "blake2b": ids.short_digest(payload)}
    return msgspec.json.encode(told).decode()


def _code_of(error: Exception) -> str:
    return error.code if isinstance(error, errors.Poison) else type(error).__name__.upper()


def _text_of(payload: bytes) -> str:
    return cards.redact_json(as_text(payload))


def topic_for(topic: str) -> str:
    """Return the topic for copies of dead letters of this topic."""
    return f"{topic}.dlq"


def copy_of(letter: DeadLetter, letter_key: int) -> bus.Outgoing:
    """Return the copy for the broker, where people who watch topics see it."""
    properties = {"code": letter.code, "orders": "1", LETTER_PROPERTY: str(letter_key)}
    topic = topic_for(letter.topic)
    return bus.Outgoing(topic, letter.stage, letter.payload.encode(), properties)


def as_text(payload: bytes) -> str:
    """Return a payload as text: bytes that are not UTF-8 are escaped, and what is too long is cut.

    Escapes are four times as long: a message of noise would be more than a broker takes.
    """
    text = payload.decode(errors="backslashreplace")
    if len(text.encode()) <= PAYLOAD_BYTES_MAX:
        return text
    return text.encode()[:PAYLOAD_BYTES_MAX].decode(errors="ignore") + CUT


def store(connection: sa.Connection, new: NewLetter, source: Source | None = None) -> int:
    """Store a letter, and return its key; the key of the one that is stored already, if it is.

    That is one from the same message, open or closed; or an open one of the same order with the
    same payload, because an earlier stage repeated itself.

    Raises:
        Conflict: another instance stores it too; repeat the whole transaction.
    """
    letter = new.letter
    if source is None:
        return _insert(connection, new)
    of_message, of_fact = _name_of_message(letter, source), _name_of_fact(letter)
    known = _key_of(connection, of_message)
    if known is None and (again := _key_of(connection, of_fact)):
        lock(connection, [again])  # a replay may be about to close it
        known = again if again not in find_closed(connection, [again]) else None
    letter_key = _insert(connection, new) if known is None else known
    _name(connection, {of_message, of_fact} - {""}, letter_key, source.message_id)
    return letter_key


def lock(connection: sa.Connection, letter_keys: Sequence[int]) -> None:
    """Lock these letters until the transaction ends, in the order of their keys."""
    key = DEAD_LETTERS.c.letter_key
    query = sa.select(key).where(key.in_(letter_keys)).order_by(key).with_for_update()
    connection.execute(query).all()


def count_sources(connection: sa.Connection, letter_keys: Sequence[int]) -> dict[int, int]:
    """Return from how many messages each of these letters was stored so far, or 0."""
    key = SOURCES.c.letter_key
    query = sa.select(key, sa.func.count()).where(key.in_(letter_keys)).group_by(key)
    counts = {row[0]: row[1] for row in connection.execute(query)}
    return {letter_key: counts.get(letter_key, 0) for letter_key in letter_keys}


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
        raise errors.Conflict("another instance stores the same letter") from error


def _insert(connection: sa.Connection, new: NewLetter) -> int:
    letter = new.letter
    row = msgspec.structs.asdict(letter)
    del row["letter_key"]
    row["explanation"] = letter.explanation[:500]
    inserted = connection.execute(DEAD_LETTERS.insert().values(row)).inserted_primary_key
    letter_key = int(inserted[0]) if inserted else 0
    if letter.held:
        held = privacy_store.Held(letter_key, letter.merchant_id, {letter.held: new.content})
        privacy_store.add(connection, privacy_store.Subject.LETTER, [held], letter.at_us)
    return letter_key


def contents_of(connection: sa.Connection, letters: Sequence[DeadLetter]) -> dict[int, str]:
    """Return what is held of these letters, by key. Of a closed or erased one it is nothing."""
    held = {letter.letter_key: letter.held for letter in letters if letter.held}
    found = privacy_store.find(connection, privacy_store.Subject.LETTER, list(held))
    return {key: values[held[key]] for key, values in found.items() if held[key] in values}


def payload_of(letter: DeadLetter, content: str) -> bytes:
    """Return the payload with what is held of it: the message as it is sent again."""
    if letter.held == Held.HALF:
        return envelope.rejoin(letter.payload.encode(), content.encode())
    return (content if letter.held else letter.payload).encode()


def _name_of_message(letter: DeadLetter, source: Source) -> str:
    """Name it by its message and payload: a new broker counts its messages from 1 again."""
    if not source.message_id:
        return ""
    place = f"{letter.stage} {letter.topic} {source.message_id} {source.place} {letter.payload}"
    return ids.digest(place.encode())


def _name_of_fact(letter: DeadLetter) -> str:
    """Name it by its contents, if it is known what it is about."""
    if not letter.subject:
        return ""
    return ids.digest(f"{letter.stage} {letter.topic} {letter.payload}".encode())


def list_open(
    connection: sa.Connection, stage: str = "", code: str = "", letters_max: int = 1_000
) -> list[DeadLetter]:
    """Return the open letters, oldest first; those of one stage or cause if given."""
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
    """Return the letters with these keys, open or closed, by key."""
    query = sa.select(DEAD_LETTERS).where(DEAD_LETTERS.c.letter_key.in_(letter_keys))
    rows = connection.execute(query.order_by(DEAD_LETTERS.c.letter_key))
    return [DeadLetter(**row._asdict()) for row in rows]


def of_subject(connection: sa.Connection, subject: ids.Subject) -> list[DeadLetter]:
    """Return the letters about a subject, open or closed. It scans the table."""
    table, (kind, merchant_id, key) = DEAD_LETTERS.c, subject
    query = sa.select(DEAD_LETTERS).where(
        table.subject_kind == kind, table.merchant_id == merchant_id, table.subject == key
    )
    rows = connection.execute(query.order_by(table.letter_key))
    return [DeadLetter(**row._asdict()) for row in rows]


def find_closed(connection: sa.Connection, letter_keys: Sequence[int]) -> set[int]:
    """Return those of the letters that are closed."""
    table = DEAD_LETTERS.c
    is_closed = table.letter_key.in_(letter_keys) & table.closed_at_us.is_not(None)
    return set(connection.execute(sa.select(table.letter_key).where(is_closed)).scalars())


def has_open(connection: sa.Connection, topic: str) -> bool:
    """Tell whether this topic of dead letters has copies of open letters."""
    table = DEAD_LETTERS.c
    with_open = sa.select(table.topic).where(table.closed_at_us.is_(None)).distinct()
    return topic in map(topic_for, connection.execute(with_open).scalars())


def close(connection: sa.Connection, letter_keys: Sequence[int], how: str, at_us: int) -> int:
    """Mark letters as "replayed" or "dropped"; return how many were still open.

    What was held of them is deleted: it was sent again, or is not needed any more.
    """
    privacy_store.erase(connection, privacy_store.Subject.LETTER, letter_keys)
    still_open = DEAD_LETTERS.c.letter_key.in_(letter_keys) & DEAD_LETTERS.c.closed_at_us.is_(None)
    statement = DEAD_LETTERS.update().where(still_open)
    return connection.execute(statement.values(closed_at_us=at_us, closed_by=how)).rowcount
