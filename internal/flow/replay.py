"""Sends dead letters to their topics again, or closes them for good.

The order's crash counts are deleted first, then the message is sent, then the letter is marked: a
crash in between sends a letter twice and never loses it.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec
import sqlalchemy as sa

from internal.auth import audit_log
from internal.flow import topics
from internal.infra import bus, db
from internal.kernel import cards, errors, ids
from internal.pipeline import crash_counts, dead_letters, envelope
from internal.pipeline.dead_letters import DeadLetter

LETTERS_AT_ONCE = 500


class Mark(msgspec.Struct, frozen=True):
    """A decision on letters: what becomes of them, by whom, when and why."""

    how: str
    """"replayed" or "dropped"."""
    actor: str
    reason: str
    at_us: int


class Outcome(msgspec.Struct, frozen=True):
    """The result of a replay."""

    replayed: int
    unreadable: tuple[int, ...]
    """Their payloads are not complete any more; they stay open."""


async def replay(
    database: db.Database, broker: bus.Bus, keys: Sequence[int], mark: Mark
) -> Outcome:
    """Publish the open ones of these letters, each to the topic it came from, and close them.

    Raises:
        BusAway: the broker gave no receipt; what was not closed may be replayed again.
    """
    await broker.ensure(topics.subscriptions())
    replayed, unreadable = 0, []
    for some in _chunks(keys):
        letters = await database.read(lambda c, some=some: _still_open(c, some))  # type: ignore[misc]
        whole = [letter for letter in letters if is_whole(letter)]
        await _send(database, broker, whole, mark)
        replayed += len(whole)
        unreadable += [letter.letter_key for letter in letters if not is_whole(letter)]
    return Outcome(replayed, tuple(unreadable))


async def _send(
    database: db.Database, broker: bus.Publisher, letters: Sequence[DeadLetter], mark: Mark
) -> None:
    if not letters:
        return
    await database.write(lambda connection: _forget_crashes(connection, letters))
    await broker.publish([message_of(letter) for letter in letters])
    await database.write(lambda connection: _close(connection, letters, mark))


def drop(connection: sa.Connection, keys: Sequence[int], mark: Mark) -> int:
    """Close the open ones of these letters; return how many that were."""
    dropped = 0
    for some in _chunks(keys):
        letters = _still_open(connection, some)
        _forget_crashes(connection, letters)
        dropped += _close(connection, letters, mark)
    return dropped


def _chunks(keys: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(keys), LETTERS_AT_ONCE):
        yield keys[start : start + LETTERS_AT_ONCE]


def _still_open(connection: sa.Connection, keys: Sequence[int]) -> list[DeadLetter]:
    found = dead_letters.find_many(connection, keys)
    return [letter for letter in found if letter.closed_at_us is None]


def _forget_crashes(connection: sa.Connection, letters: Sequence[DeadLetter]) -> None:
    by_stage = sorted(letters, key=lambda letter: letter.stage)
    for stage, of_stage in groupby(by_stage, key=lambda letter: letter.stage):
        refs = [
            ids.OrderRef(letter.merchant_id, letter.order_id)
            for letter in of_stage
            if letter.order_id
        ]
        crash_counts.forget(connection, stage, refs)


def _close(connection: sa.Connection, letters: Sequence[DeadLetter], mark: Mark) -> int:
    keys = [letter.letter_key for letter in letters]
    actions = [
        audit_log.Action(
            at_us=mark.at_us,
            actor=mark.actor,
            action=f"LETTER_{mark.how.upper()}",
            merchant_id=letter.merchant_id,
            order_id=letter.order_id,
            subject=letter.letter_key,
            detail=f"{letter.stage} {letter.code}",
            reason=mark.reason,
        )
        for letter in letters
    ]
    audit_log.log(connection, actions)
    return dead_letters.close(connection, keys, mark.how, mark.at_us)


def is_whole(letter: DeadLetter) -> bool:
    """Tell whether the payload is as it was sent: nothing was redacted, nothing was cut."""
    return cards.REDACTED not in letter.payload and not letter.payload.endswith(dead_letters.CUT)


def message_of(letter: DeadLetter) -> bus.Outgoing:
    """Return the message that a letter was, with the key of its first readable fact."""
    payload = letter.payload.encode()
    properties = {
        "specversion": "1.0",
        "source": "souk-replay",
        "datacontenttype": "application/json",
    }
    try:
        facts = topics.ENVELOPE.facts_in(payload)
    except errors.Poison:
        facts = []
    readable = [fact for fact in facts if not isinstance(fact, errors.Poison)]
    if readable:
        properties = envelope.properties(readable, payload) | {"orders": str(len(facts))}
        key = ids.shard_of(readable[0].merchant_id, readable[0].key)
    else:
        key = ids.shard_of(letter.merchant_id, letter.order_id)
    return bus.Outgoing(letter.topic, key, payload, properties)
