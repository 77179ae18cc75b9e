"""What the parts of the embedded bus hand each other: messages, and places in a stream.

Plain values, and the one function that turns a caller's message into what the table takes. No I/O.
"""

import base64
from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from internal.infra import bus
from internal.kernel import errors

PAYLOAD_BYTES_MAX = 5 * 1024 * 1024
"""As Pulsar's default `maxMessageSize`."""


class Limits(msgspec.Struct, frozen=True):
    """How much at a time. Made smaller in tests, so that few messages reach every limit."""

    ready_messages_max: int = 2_000
    """A subscription reads so far ahead of its consumers; a deeper backlog stays in the file."""

    ready_bytes_max: int = 4 * 1024 * 1024

    tail_messages_max: int = 2_000
    """A tail keeps so many for a reader who is busy; then it drops the oldest."""

    batch_messages_max: int = 1_000
    """In one transaction, which then takes some 10 ms."""

    batch_bytes_max: int = 4 * 1024 * 1024

    queue_messages_max: int = 10_000
    """Beyond this, publishers wait: the database is slower than they are."""

    queue_bytes_max: int = 32 * 1024 * 1024

    trim_messages: int = 250
    """So many acknowledged messages of a topic are worth a deletion. A transaction deletes that
    many and as many as it appends: so the file stops growing, and none takes long."""

    acknowledge_after_s: float = 0.02
    """So long acknowledgements wait for a publication to travel with."""

    try_again_after_s: float = 1.0
    """So long acknowledgements wait after a transaction that failed."""

    notice_every_s: float = 0.5
    """How often to look for what other processes published, and for leftovers to delete."""


class Prepared(msgspec.Struct, frozen=True):
    """A message ready to be written: `text` is its payload as a column can hold it."""

    message: bus.Outgoing
    text: str
    is_base64: bool
    properties: str
    orders: int
    published_at_us: int
    size_bytes: int


class Stored(msgspec.Struct, frozen=True):
    """A message that has its place in the stream; shared by all subscriptions that hold it."""

    seq: int
    delivery: bus.Delivery
    orders: int
    published_at_us: int
    size_bytes: int


class Count(msgspec.Struct, frozen=True):
    """So many messages, holding so many orders."""

    messages: int = 0
    orders: int = 0


class Catalog(msgspec.Struct, frozen=True):
    """The durable subscriptions; out of date when an id above `newest` was given out."""

    newest: int
    topics: Mapping[str, int]
    subscriptions: Mapping[tuple[str, str], int]


NOTHING = Catalog(0, {}, {})


class Cursor(msgspec.Struct, frozen=True):
    """A subscription's place: all up to `acknowledged_to` but the `holes` is acknowledged."""

    subscription_id: int
    topic_id: int
    acknowledged_to: int
    holes: Sequence[int]

    @property
    def mark_delete(self) -> int:
        """Up to here nothing is needed any more."""
        return self.holes[0] - 1 if self.holes else self.acknowledged_to


class Noticed(msgspec.Struct, frozen=True):
    """What other processes published, by topic id; all up to `head` is known now."""

    head: int
    others: Mapping[int, Count]


class Attached(msgspec.Struct, frozen=True):
    """What a subscription starts with, and what was noticed in the same look at the file."""

    cursor: Cursor
    backlog: Count
    noticed: Noticed


class Trim(msgspec.Struct, frozen=True):
    """Delete the topic's oldest messages, at most so many, where every subscription is done."""

    topic_id: int
    messages_max: int


class Work(msgspec.Struct, frozen=True):
    """One transaction: what to append, move and trim; what was known of the file before it."""

    messages: Sequence[Prepared]
    cursors: Sequence[Cursor]
    trim: Trim | None
    catalog: Catalog
    head: int


class Done(msgspec.Struct, frozen=True):
    """What a transaction did.

    Messages to the topics in `catalog` were kept: they have the numbers from `before` + 1 to
    `after`, in the order of the work. `others` is what appeared between its head and `before`.
    """

    before: int
    after: int
    catalog: Catalog
    others: Mapping[int, Count]
    trimmed_messages: int


class PageRequest(msgspec.Struct, frozen=True):
    """What to read: these `holes`, or, without any, what follows `after`."""

    topic: str
    topic_id: int
    after: int
    holes: Sequence[int]
    messages_max: int
    bytes_max: int


class Page(msgspec.Struct, frozen=True):
    """Messages in order: all of those asked for up to `read_to`."""

    messages: Sequence[Stored]
    read_to: int


def prepare(message: bus.Outgoing, now_us: int) -> Prepared:
    """Turn a message into what the table takes.

    Raises:
        Poison: too large, or a topic, key or property that no column can hold.
    """
    if len(message.payload) > PAYLOAD_BYTES_MAX:
        what = f"a message of {len(message.payload)} bytes, at most {PAYLOAD_BYTES_MAX} are taken"
        raise errors.Poison("MESSAGE_TOO_LARGE", what)
    require_text(message.topic)
    require_text(message.key)
    text, is_base64 = as_text(message.payload)
    properties = as_properties(message.properties) if message.properties else "{}"
    return Prepared(
        message=message,
        text=text,
        is_base64=is_base64,
        properties=properties,
        orders=bus.orders_in(message.properties),
        published_at_us=now_us,
        size_bytes=len(text) + len(properties),
    )


@lru_cache(maxsize=1024)
def require_text(text: str) -> None:
    """Check what SQLite would cut short or refuse: a NUL, half of a surrogate pair.

    Raises:
        Poison: it is such a text.
    """
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise errors.Poison("MESSAGE_TEXT_INVALID", f"a name or key that is no text: {text!r}")


def as_properties(properties: Mapping[str, str]) -> str:
    """Return the properties as JSON.

    Raises:
        Poison: one of them is no text.
    """
    try:
        texts = msgspec.convert(dict(properties), dict[str, str])
        return msgspec.json.encode(texts).decode()
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise errors.Poison("MESSAGE_TEXT_INVALID", f"properties: {error}") from error


def as_text(payload: bytes) -> tuple[str, bool]:
    """Return the payload as a text, and whether that is base64: where it is none, or has NULs."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return base64.b64encode(payload).decode(), True
    if "\0" in text:
        return base64.b64encode(payload).decode(), True
    return text, False


def as_payload(text: str, is_base64: bool) -> bytes:  # noqa: FBT001 - what as_text returned
    """Return what `as_text` was given."""
    return base64.b64decode(text) if is_base64 else text.encode()
