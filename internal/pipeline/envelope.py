"""What a message looks like: {"v": 1, "facts": [fact, …]}, orders of one shard, oldest first.

A single bare fact is read too, so that an operator can trigger a function with one order. Each fact
is read on its own:
one that cannot be read never takes its neighbours along.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from internal.flow import topics
from internal.infra import traces
from internal.infra.bus import ORDERS_PROPERTY, Outgoing
from internal.kernel import errors, ids
from internal.orders import codec, messages

VERSION = 1
FACTS_MAX = 10_000
"""More facts than this in one message were not written by Souk."""
MESSAGE_BYTES_MAX = 1024 * 1024
"""Larger messages are cut in two, down to one fact. Pulsar takes 5 MiB; an order has 64 KiB."""
ID_BYTES = 12


class _Out(msgspec.Struct):
    v: int
    facts: Sequence[messages.Fact]


class _In(msgspec.Struct):
    v: int = VERSION
    facts: list[msgspec.Raw] | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_In)


def encode(facts: Sequence[messages.Fact]) -> bytes:
    """Return a message's payload."""
    return _encoder.encode(_Out(VERSION, facts))


def properties(facts: Sequence[messages.Fact], payload: bytes) -> dict[str, str]:
    """Return a message's properties: CloudEvents' names, and how many orders are inside.

    The id is that of the contents: the same message sent again has the same. The trace is that of
    the first order; each fact names its own.
    Source: CloudEvents 1.0.2 and its extension for distributed tracing.
    """
    trace = traces.traceparent_of(facts[0].trace_id)
    return ({"traceparent": trace} if trace else {}) | {
        "specversion": "1.0",
        "id": hashlib.blake2b(payload, digest_size=ID_BYTES).hexdigest(),
        "type": "souk.v1." + type(facts[0]).__name__,
        "source": "souk",
        "datacontenttype": "application/json",
        ORDERS_PROPERTY: str(len(facts)),
    }


def open_payload(payload: bytes) -> list[messages.Fact | errors.Poison]:
    """Read a payload: every fact in it, or what is wrong with it.

    Raises:
        Poison: the message as a whole cannot be read.
    """
    try:
        envelope = _decoder.decode(payload)
    except codec.UNREADABLE as error:
        raise errors.Poison("UNREADABLE_MESSAGE", str(error)) from error
    if envelope.v != VERSION:
        raise errors.Poison("UNKNOWN_VERSION", f"version {envelope.v}, this is {VERSION}")
    if envelope.facts is None:
        return [codec.decode(payload)]
    if len(envelope.facts) > FACTS_MAX:
        raise errors.Poison("TOO_MANY_FACTS", f"{len(envelope.facts)} facts, at most {FACTS_MAX}")
    return [_open_fact(raw) for raw in envelope.facts]


def _open_fact(raw: msgspec.Raw) -> messages.Fact | errors.Poison:
    try:
        fact: messages.Fact = codec.decode(bytes(raw))
    except errors.Poison as poison:
        return poison
    return fact


def pack(facts: Iterable[messages.Fact]) -> list[Outgoing]:
    """Make messages of these facts, by topic and shard, in their order; none too large."""
    groups: dict[tuple[str, str], list[messages.Fact]] = {}
    for fact in facts:
        place = topics.TOPIC_OF[type(fact)], ids.shard_of(fact.merchant_id, fact.order_id)
        groups.setdefault(place, []).append(fact)
    return [
        Outgoing(topic, key, payload, properties(part, payload))
        for (topic, key), group in groups.items()
        for part, payload in _parts(group)
    ]


def _parts(facts: list[messages.Fact]) -> Iterator[tuple[list[messages.Fact], bytes]]:
    payload = encode(facts)
    if len(payload) <= MESSAGE_BYTES_MAX or len(facts) == 1:
        yield facts, payload
        return
    middle = len(facts) // 2
    yield from _parts(facts[:middle])
    yield from _parts(facts[middle:])


def event_id(fact: messages.Fact) -> str:
    """Return the fact's own name, for logs and traces: the same however often it is sent."""
    return f"{fact.merchant_id}/{fact.order_id}/{type(fact).__name__}"
