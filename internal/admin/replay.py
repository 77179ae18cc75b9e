"""Sends dead letters to their topics again.

First the message, then the mark: a crash in between sends a letter twice, and never not at all.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from internal.infra import bus, db
from internal.infra.embedded_bus import bus as embedded_bus
from internal.kernel import cards, errors, ids
from internal.pipeline import dead_letters, envelope, flow
from internal.pipeline.dead_letters import DeadLetter

LETTERS_AT_ONCE = 500


class Outcome(msgspec.Struct, frozen=True):
    """What became of the letters."""

    replayed: int
    unreadable: tuple[int, ...]
    """Their payloads are not whole any more; they stay open."""


async def replay(database: db.Database, keys: Sequence[int], now_us: int) -> Outcome:
    """Publish the open ones of these letters, each to the topic it came from, and close them.

    Raises:
        BusAway: the broker gave no receipt; what was not closed may be replayed again.
    """
    broker = embedded_bus.EmbeddedBus(database)
    await broker.open()
    try:
        await broker.ensure(flow.subscriptions())
        letters = await database.read(lambda connection: _still_open(connection, keys))
        whole = [letter for letter in letters if is_whole(letter)]
        for start in range(0, len(whole), LETTERS_AT_ONCE):
            await _send(database, broker, whole[start : start + LETTERS_AT_ONCE], now_us)
    finally:
        await broker.close()
    unreadable = tuple(letter.letter_key for letter in letters if not is_whole(letter))
    return Outcome(len(whole), unreadable)


async def _send(
    database: db.Database, broker: bus.Publisher, letters: Sequence[DeadLetter], now_us: int
) -> None:
    await broker.publish([message_of(letter) for letter in letters])
    keys = [letter.letter_key for letter in letters]
    await database.write(lambda c: dead_letters.close(c, keys, "replayed", now_us))


def _still_open(connection: sa.Connection, keys: Sequence[int]) -> list[DeadLetter]:
    found = (dead_letters.find(connection, key) for key in keys)
    return [letter for letter in found if letter and letter.closed_at_us is None]


def is_whole(letter: DeadLetter) -> bool:
    """Tell whether the payload is as it was sent: what looked like a card number was taken out."""
    return cards.REDACTED not in letter.payload


def message_of(letter: DeadLetter) -> bus.Outgoing:
    """Return the message that a letter was, with the key of its first order that can be read."""
    payload = letter.payload.encode()
    properties = {
        "specversion": "1.0",
        "source": "souk-replay",
        "datacontenttype": "application/json",
    }
    try:
        facts = envelope.open_payload(payload)
    except errors.Poison:
        facts = []
    readable = [fact for fact in facts if not isinstance(fact, errors.Poison)]
    if readable:
        properties = envelope.properties(readable) | {"orders": str(len(facts))}
        key = ids.shard_of(readable[0].merchant_id, readable[0].order_id)
    else:
        key = ids.shard_of(letter.merchant_id, letter.order_id)
    return bus.Outgoing(letter.topic, key, payload, properties)


def close(connection: sa.Connection, keys: Sequence[int], how: str, at_us: int) -> int:
    """Mark any number of letters; return how many were still open."""
    return sum(
        dead_letters.close(connection, keys[start : start + LETTERS_AT_ONCE], how, at_us)
        for start in range(0, len(keys), LETTERS_AT_ONCE)
    )
