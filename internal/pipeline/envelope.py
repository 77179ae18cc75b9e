"""The format of a message: {"v": 1, "facts": [fact, …]}, facts of one shard, oldest first.

A single bare fact is read too, so that an operator can trigger a function with one. Each fact is
read on its own: an unreadable one never takes its neighbours along. Must not know which facts there
are: the flow tells it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Union

import msgspec

from internal.infra import traces
from internal.infra.bus import ORDERS_PROPERTY, Outgoing
from internal.kernel import errors, facts, ids
from internal.kernel.facts import Fact

VERSION = 1
FACTS_MAX = 10_000
"""More facts than this in one message were not written by Souk."""
MESSAGE_BYTES_MAX = 1024 * 1024
"""Larger messages are cut in two, down to one fact. Pulsar takes 5 MiB; an order has 64 KiB."""
ID_BYTES = 12


class _Out(msgspec.Struct):
    v: int
    facts: Sequence[Fact]


class _In(msgspec.Struct):
    v: int = VERSION
    facts: list[msgspec.Raw] | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_In)


class Opened(NamedTuple):
    """One fact of a message with the bytes that it came as, or what is wrong with it."""

    fact: Fact | errors.Poison
    raw: bytes | msgspec.Raw


def encode(batch: Sequence[Fact]) -> bytes:
    """Return a message's payload."""
    return _encoder.encode(_Out(VERSION, batch))


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
        "type": "souk.v1." + type(batch[0]).__name__,
        "source": "souk",
        "datacontenttype": "application/json",
        ORDERS_PROPERTY: str(len(batch)),
    }


def event_id(fact: Fact) -> str:
    """Return the fact's own name, for logs and traces: the same however often it is sent."""
    return f"{fact.merchant_id}/{fact.key}/{type(fact).__name__}"


class Envelope:
    """Packs and opens messages of the facts in `topic_of`, which names the topic of each kind."""

    def __init__(self, topic_of: Mapping[type, str]) -> None:
        self._topic_of = topic_of
        self._codec: facts.Codec[Fact] = facts.Codec(Union[tuple(topic_of)])  # noqa: UP007 - made at run time

    def open(self, payload: bytes) -> list[Opened]:
        """Read a payload: every fact in it, or what is wrong with it.

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
        return [Opened(self._fact(raw), raw) for raw in message.facts]

    def facts_in(self, payload: bytes) -> list[Fact | errors.Poison]:
        """Read a payload as `open` does, without the bytes of each fact."""
        return [opened.fact for opened in self.open(payload)]

    def _fact(self, raw: msgspec.Raw) -> Fact | errors.Poison:
        try:
            return self._read(raw)
        except errors.Poison as poison:
            return poison

    def _read(self, data: bytes | msgspec.Raw) -> Fact:
        """Read a fact.

        Raises:
            Poison: it cannot be read, or an id in it breaks its form.
        """
        fact = self._codec.decode(data)
        if flaw := fact.flaw():
            raise errors.Poison("UNREADABLE_FACT", flaw)
        return fact

    def pack(self, batch: Iterable[Fact], shard_keys: int) -> list[Outgoing]:
        """Make messages of these facts, by topic and shard, in their order; none too large.

        `shard_keys` is that of the bus they are for.
        """
        groups: dict[tuple[str, str], list[Fact]] = {}
        for fact in batch:
            key = ids.shard_of(fact.merchant_id, fact.key, shard_keys)
            place = self._topic_of[type(fact)], key
            groups.setdefault(place, []).append(fact)
        return [
            Outgoing(topic, key, payload, properties(part, payload))
            for (topic, key), group in groups.items()
            for part, payload in _parts(group)
        ]


def _parts(batch: list[Fact]) -> Iterator[tuple[list[Fact], bytes]]:
    payload = encode(batch)
    if len(payload) <= MESSAGE_BYTES_MAX or len(batch) == 1:
        yield batch, payload
        return
    middle = len(batch) // 2
    yield from _parts(batch[:middle])
    yield from _parts(batch[middle:])
