"""The format of a message: {"v": 2, "facts": [fact, …], "private": [null or half, …]}.

The facts are of one shard, oldest first; `private` is parallel to them, and left out when no fact
has a private half. Only the topics that the flow names carry private halves: one of any other fact
is dropped, when a message is packed and when it is opened, because nothing would read or erase it.

A single bare fact is read too, so that an operator can trigger a function with one. Each fact is
read on its own: an unreadable one never takes its neighbours along. Must not know which facts there
are: the flow tells it.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import NamedTuple, Union

import msgspec

from internal.infra import traces
from internal.infra.bus import ORDERS_PROPERTY, Outgoing
from internal.kernel import errors, facts, ids
from internal.kernel.facts import Fact
from internal.privacy.messages import NOTHING, Private

VERSION = 2
FACTS_MAX = 10_000
"""More facts than this in one message were not written by Souk."""
MESSAGE_BYTES_MAX = 1024 * 1024
"""Larger messages are cut in two, down to one fact. Pulsar takes 5 MiB; an order has 64 KiB."""
ID_BYTES = 12
TYPE_PREFIX = "souk.v1."
"""Opens CloudEvents' name of a kind of fact."""


class _Out(msgspec.Struct, omit_defaults=True):
    v: int
    facts: Sequence[Fact | msgspec.Raw]
    private: Sequence[Private | msgspec.Raw | None] = ()


class _In(msgspec.Struct):
    v: int = VERSION
    facts: list[msgspec.Raw] | None = None
    private: list[msgspec.Raw] = []


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_In)
_half_decoder = msgspec.json.Decoder(Private | None)
_NONE = msgspec.Raw(b"null")


class Opened(NamedTuple):
    """One fact of a message with the bytes that it came as, or what is wrong with it."""

    fact: Fact | errors.Poison
    raw: bytes | msgspec.Raw
    """Of Poison: a message of it alone, with its private half."""
    private: Private = NOTHING


def encode(batch: Sequence[Fact], private: Sequence[Private] = ()) -> bytes:
    """Return a message's payload. `private` is parallel to the batch, or empty."""
    halves = [None if half == NOTHING else half for half in private]
    return _encoder.encode(_Out(VERSION, batch, halves if any(halves) else ()))


def encode_half(private: Private) -> bytes:
    """Return a private half as `rejoin` takes it."""
    return _encoder.encode(private)


def rejoin(payload: bytes, half: bytes) -> bytes:
    """Return the payload of one fact with its private half."""
    message = _decoder.decode(payload)
    return _encoder.encode(_Out(message.v, message.facts or [], [msgspec.Raw(half)]))


def properties(batch: Sequence[Fact], payload: bytes) -> dict[str, str]:
    """Return a message's properties: CloudEvents' names, and how many orders are inside.

    The id is that of the contents: the same message sent again has the same. The trace is that of
    the first fact; each fact names its own.
    Source: CloudEvents 1.0.2 and its extension for distributed tracing.
    """
    trace = traces.traceparent_of(batch[0].trace_id)
    return ({"traceparent": trace} if trace else {}) | {
        "specversion": "1.0",
        "id": hashlib.blake2b(payload, digest_size=ID_BYTES).hexdigest(),
        "type": TYPE_PREFIX + type(batch[0]).__name__,
        "source": "souk",
        "datacontenttype": "application/json",
        ORDERS_PROPERTY: str(len(batch)),
    }


def event_id(fact: Fact) -> str:
    """Return the fact's own name, for logs and traces: the same however often it is sent."""
    return f"{fact.merchant_id}/{fact.key}/{type(fact).__name__}"


class Envelope:
    """Packs and opens messages of the facts in `topic_of`, which names the topic of each kind.

    `private_topics` are those that carry private halves.
    """

    def __init__(self, topic_of: Mapping[type, str], private_topics: Collection[str] = ()) -> None:
        self._topic_of = topic_of
        self._with_private = {kind for kind, topic in topic_of.items() if topic in private_topics}
        self._codec: facts.Codec[Fact] = facts.Codec(Union[tuple(topic_of)])  # noqa: UP007 - made at run time

    def open(self, payload: bytes) -> list[Opened]:
        """Read a payload: every fact in it with its private half, or what is wrong with it.

        Raises:
            Poison: the message as a whole cannot be read.
        """
        try:
            message = _decoder.decode(payload)
        except facts.UNREADABLE as error:
            raise errors.Poison("UNREADABLE_MESSAGE", str(error)) from error
        if message.v != VERSION:
            raise errors.Poison("UNKNOWN_VERSION", f"version {message.v}, this is {VERSION}")
        if message.facts is None:
            return [Opened(self._read(payload), payload)]
        if len(message.facts) > FACTS_MAX:
            what = f"{len(message.facts)} facts, at most {FACTS_MAX}"
            raise errors.Poison("TOO_MANY_FACTS", what)
        if len(message.private) not in {0, len(message.facts)}:
            what = f"{len(message.private)} private halves of {len(message.facts)} facts"
            raise errors.Poison("UNREADABLE_MESSAGE", what)
        halves = message.private or repeat(_NONE, len(message.facts))
        return [self._opened(*each) for each in zip(message.facts, halves, strict=True)]

    def facts_in(self, payload: bytes) -> list[Fact | errors.Poison]:
        """Read a payload as `open` does, without the bytes of each fact."""
        return [opened.fact for opened in self.open(payload)]

    def _opened(self, raw: msgspec.Raw, half: msgspec.Raw) -> Opened:
        try:
            fact = self._read(raw)
            private = NOTHING if half is _NONE else _read_half(half)
        except errors.Poison as poison:
            halves = () if half is _NONE else [half]
            return Opened(poison, _encoder.encode(_Out(VERSION, [raw], halves)))
        return Opened(fact, raw, private if type(fact) in self._with_private else NOTHING)

    def _read(self, data: bytes | msgspec.Raw) -> Fact:
        """Read a fact.

        Raises:
            Poison: it cannot be read, or an id in it breaks its form.
        """
        fact = self._codec.decode(data)
        if flaw := fact.flaw():
            raise errors.Poison("UNREADABLE_FACT", flaw)
        return fact

    def pack(
        self, batch: Iterable[Fact], shard_keys: int, private: Sequence[Private] = ()
    ) -> list[Outgoing]:
        """Make messages of these facts, by topic and shard, in their order; none too large.

        `shard_keys` is that of the bus they are for. `private` is parallel to the batch, or empty.
        """
        groups: dict[tuple[str, str], tuple[list[Fact], list[Private]]] = {}
        for fact, half in zip(batch, private or repeat(NOTHING), strict=bool(private)):
            key = ids.shard_of(fact.merchant_id, fact.key, shard_keys)
            group, halves = groups.setdefault((self._topic_of[type(fact)], key), ([], []))
            group.append(fact)
            halves.append(half if type(fact) in self._with_private else NOTHING)
        return [
            Outgoing(topic, key, payload, properties(part, payload))
            for (topic, key), group in groups.items()
            for part, payload in _parts(*group)
        ]


def _read_half(half: msgspec.Raw) -> Private:
    """Read a private half.

    Raises:
        Poison: it cannot be read, or a tender's reference in it is not an id.
    """
    try:
        private = _half_decoder.decode(half) or NOTHING
    except facts.UNREADABLE as error:
        raise errors.Poison("UNREADABLE_PRIVATE_HALF", str(error)) from error
    if flaw := private.flaw():
        raise errors.Poison("UNREADABLE_PRIVATE_HALF", flaw)
    return private


def _parts(batch: list[Fact], private: list[Private]) -> Iterator[tuple[list[Fact], bytes]]:
    payload = encode(batch, private)
    if len(payload) <= MESSAGE_BYTES_MAX or len(batch) == 1:
        yield batch, payload
        return
    middle = len(batch) // 2
    yield from _parts(batch[:middle], private[:middle])
    yield from _parts(batch[middle:], private[middle:])
