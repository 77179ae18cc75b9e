"""Sends dead letters to their topics again, or closes them for good.

The order's crash counts are deleted first, then the message is sent, then the letter is marked: a
crash in between sends a letter twice and never loses it. An open order whose letter is closed
always has something else that drives it on: replaying gives its deadline back, and dropping asks
the caller what becomes of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from internal.auth import audit_log
from internal.flow import topics
from internal.infra import bus, db
from internal.kernel import cards, errors, ids
from internal.kernel.clock import US_PER_SECOND
from internal.kernel.facts import Fact
from internal.orders import deadlines, fact_bases, messages
from internal.pipeline import crash_counts, dead_letters, envelope
from internal.pipeline.dead_letters import DeadLetter

T = TypeVar("T")

LETTERS_AT_ONCE = 500
DEADLINE_S = max(stage.deadline_s for stage in topics.STAGES)
"""A replayed order that no stage has taken by then is driven on by the janitor."""


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
    came_back: tuple[int, ...] = ()
    """Their stages have failed again already; they stay open."""


async def replay(
    database: db.Database, broker: bus.Bus, keys: Sequence[int], mark: Mark
) -> Outcome:
    """Publish the open ones of these letters, each to the topic it came from, and close them.

    Raises:
        BusAway: the broker gave no receipt; what was not closed may be replayed again.
    """
    await broker.ensure(topics.subscriptions())
    replayed, unreadable, came_back = 0, [], []
    for some in _chunks(keys):
        letters = await database.read(lambda c, some=some: _still_open(c, some))  # type: ignore[misc]
        held = await database.read(lambda c, them=letters: dead_letters.contents_of(c, them))  # type: ignore[misc]
        whole = {it: held.get(it.letter_key, "") for it in letters if is_whole(it, held)}
        back = await _send(database, broker, whole, mark)
        replayed += len(whole) - len(back)
        came_back += back
        unreadable += [letter.letter_key for letter in letters if letter not in whole]
    return Outcome(replayed, tuple(unreadable), tuple(came_back))


async def _send(
    database: db.Database, broker: bus.Publisher, whole: Mapping[DeadLetter, str], mark: Mark
) -> list[int]:
    """Publish and close letters, given with what is held of them; return those that came back."""
    if not whole:
        return []
    letters = list(whole)
    before = await database.write(lambda connection: _prepare(connection, letters))
    messages = [message_of(letter, broker.shard_keys, held) for letter, held in whole.items()]
    await broker.publish(messages)
    return await database.write(lambda connection: _close_sent(connection, letters, mark, before))


def _prepare(connection: sa.Connection, letters: Sequence[DeadLetter]) -> dict[int, int]:
    _forget_crashes(connection, letters)
    return dead_letters.count_sources(connection, [letter.letter_key for letter in letters])


def _close_sent(
    connection: sa.Connection, letters: Sequence[DeadLetter], mark: Mark, before: dict[int, int]
) -> list[int]:
    """Close letters that were published, and give their orders a deadline again.

    A stage that fails again within this moment stores no second letter: the open one stands for
    both, so it stays open.
    """
    dead_letters.lock(connection, sorted(before))
    after = dead_letters.count_sources(connection, list(before))
    gone = [letter for letter in letters if after[letter.letter_key] == before[letter.letter_key]]
    _close(connection, gone, mark)
    due_at_us = mark.at_us + DEADLINE_S * US_PER_SECOND
    deadlines.give_back(connection, _orders_of(gone), due_at_us)
    return [key for key, count in after.items() if count != before[key]]


def drop(
    connection: sa.Connection,
    keys: Sequence[int],
    mark: Mark,
    decide: Callable[[sa.Connection, Sequence[ids.OrderRef], Sequence[messages.OrderPlaced]], T],
) -> tuple[int, T]:
    """Close the open ones of these letters, after `decide` has dealt with the orders of all.

    It gets the orders' names, and those OrderPlaced that the letters hold whole. It raises an error
    if an order would be left behind; then nothing may be committed.

    Returns:
        How many letters were closed, and what `decide` returned.
    """
    letters = [it for some in _chunks(keys) for it in dead_letters.find_many(connection, some)]
    decided = decide(connection, _orders_of(letters), _placed_in(letters))
    dropped = 0
    for some in _chunks(keys):
        still_open = _still_open(connection, some)
        _forget_crashes(connection, still_open)
        dropped += _close(connection, still_open, mark)
    return dropped, decided


def _orders_of(letters: Sequence[DeadLetter]) -> list[ids.OrderRef]:
    """Return the orders that letters are about, each once."""
    refs = (ids.OrderRef(it.merchant_id, it.subject) for it in letters if _is_of_order(it))
    return list(dict.fromkeys(refs))


def _is_of_order(letter: DeadLetter) -> bool:
    return letter.subject_kind == fact_bases.SUBJECT_KIND


def _placed_in(letters: Sequence[DeadLetter]) -> list[messages.OrderPlaced]:
    """Return the orders in letters of one fact, each order once, without their private halves."""
    found: dict[ids.OrderRef, messages.OrderPlaced] = {}
    for letter in letters:
        if _is_of_order(letter) and _is_unchanged(letter.payload):
            for fact in _facts_in(letter.payload.encode()):
                if isinstance(fact, messages.OrderPlaced):
                    found.setdefault(ids.OrderRef(fact.merchant_id, fact.order_id), fact)
    return list(found.values())


def _facts_in(payload: bytes) -> list[Fact | errors.Poison]:
    try:
        return list(topics.ENVELOPE.facts_in(payload))
    except errors.Poison:
        return []


def _chunks(keys: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(keys), LETTERS_AT_ONCE):
        yield keys[start : start + LETTERS_AT_ONCE]


def _still_open(connection: sa.Connection, keys: Sequence[int]) -> list[DeadLetter]:
    found = dead_letters.find_many(connection, keys)
    return [letter for letter in found if letter.closed_at_us is None]


def _forget_crashes(connection: sa.Connection, letters: Sequence[DeadLetter]) -> None:
    by_stage = sorted(letters, key=lambda letter: letter.stage)
    for stage, of_stage in groupby(by_stage, key=lambda letter: letter.stage):
        subjects = [
            ids.Subject(letter.subject_kind, letter.merchant_id, letter.subject)
            for letter in of_stage
            if letter.subject
        ]
        crash_counts.forget(connection, stage, subjects)


def _close(connection: sa.Connection, letters: Sequence[DeadLetter], mark: Mark) -> int:
    keys = [letter.letter_key for letter in letters]
    actions = [
        audit_log.Action(
            at_us=mark.at_us,
            actor=mark.actor,
            action=f"LETTER_{mark.how.upper()}",
            merchant_id=letter.merchant_id,
            order_id=letter.subject if _is_of_order(letter) else "",
            subject=letter.letter_key,
            detail=f"{letter.stage} {letter.code}",
            reason=mark.reason,
        )
        for letter in letters
    ]
    audit_log.log(connection, actions)
    return dead_letters.close(connection, keys, mark.how, mark.at_us)


def is_whole(letter: DeadLetter, held: Mapping[int, str]) -> bool:
    """Tell whether the letter is as it was sent: nothing was redacted, cut or erased.

    `held` is what is held of letters, by key.
    """
    if letter.held and letter.letter_key not in held:
        return False
    return _is_unchanged(letter.payload) and _is_unchanged(held.get(letter.letter_key, ""))


def _is_unchanged(text: str) -> bool:
    return cards.REDACTED not in text and not text.endswith(dead_letters.CUT)


def message_of(letter: DeadLetter, shard_keys: int, content: str = "") -> bus.Outgoing:
    """Return the message that a letter was, with the key of its first readable fact.

    `content` is what is held of the letter.
    """
    payload = dead_letters.payload_of(letter, content)
    properties = {
        "specversion": "1.0",
        "source": "souk-replay",
        "datacontenttype": "application/json",
    }
    facts = _facts_in(payload)
    readable = [fact for fact in facts if not isinstance(fact, errors.Poison)]
    if readable:
        properties = envelope.properties(readable, payload) | {"orders": str(len(facts))}
        key = ids.shard_of(readable[0].merchant_id, readable[0].key, shard_keys)
    else:
        key = ids.shard_of(letter.merchant_id, letter.subject, shard_keys)
    return bus.Outgoing(letter.topic, key, payload, properties)
