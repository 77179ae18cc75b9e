"""The values that the modules of the embedded bus exchange: messages, and positions in a stream.

Plain values, and the function that turns a caller's message into a row of the table. No I/O.
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
    """The limits of the embedded bus. Tests make them smaller, so that few messages reach them."""

    ready_messages_max: int = 2_000
    """A subscription reads up to this many ahead of its consumers; the rest stays in the file."""

    ready_bytes_max: int = 4 * 1024 * 1024

    tail_messages_max: int = 2_000
    """A tail keeps this many messages for a busy reader; then it drops the oldest."""

    batch_messages_max: int = 1_000
    """Messages in one transaction, which then takes some 10 ms."""

    batch_bytes_max: int = 4 * 1024 * 1024

    queue_messages_max: int = 10_000
    """Beyond this, publishers wait: the database is slower than they are."""

    queue_bytes_max: int = 32 * 1024 * 1024

    trim_messages: int = 250
    """This many acknowledged messages of a topic are worth a deletion. A transaction deletes up to
    that many and as many as it appends: so the file stops growing, and no transaction takes long.
    """

    acknowledge_after_s: float = 0.02
    """How long acknowledgements wait for a publication to share its transaction."""

    try_again_after_s: float = 1.0
    """How long acknowledgements wait after a failed transaction."""

    notice_every_s: float = 0.5
    """How often to look for messages of other processes, and for leftovers to delete."""


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
    """A message with its number in the stream; shared by all subscriptions that hold it."""

    seq: int
    delivery: bus.Delivery
    orders: int
    published_at_us: int
    size_bytes: int


class Count(msgspec.Struct, frozen=True):
    """A number of messages, and of the orders in them."""

    messages: int = 0
    orders: int = 0


class Catalog(msgspec.Struct, frozen=True):
    """The durable subscriptions; outdated once an id above `newest` has been assigned."""

    newest: int
    topics: Mapping[str, int]
    subscriptions: Mapping[tuple[str, str], int]


NOTHING = Catalog(0, {}, {})


class Cursor(msgspec.Struct, frozen=True):
    """A subscription's position: all up to `acknowledged_to` is acknowledged except the `holes`."""

    subscription_id: int
    topic_id: int
    acknowledged_to: int
    holes: Sequence[int]

    @property
    def mark_delete(self) -> int:
        """No message up to this number is needed any more."""
        return self.holes[0] - 1 if self.holes else self.acknowledged_to


class Noticed(msgspec.Struct, frozen=True):
    """Counts of other processes' messages, by topic id; all up to `head` are known now."""

    head: int
    others: Mapping[int, Count]


class Attached(msgspec.Struct, frozen=True):
    """The start of a subscription, and what was noticed in the same read of the file."""

    cursor: Cursor
    backlog: Count
    noticed: Noticed


class Trim(msgspec.Struct, frozen=True):
    """Delete the topic's oldest messages, at most this many, that no subscription needs."""

    topic_id: int
    messages_max: int


class Work(msgspec.Struct, frozen=True):
    """One transaction: what to append, move and trim, and the known state of the file before it."""

    messages: Sequence[Prepared]
    cursors: Sequence[Cursor]
    trim: Trim | None
    catalog: Catalog
    head: int


class Done(msgspec.Struct, frozen=True):
    """The result of a transaction.

    Messages to the topics in `catalog` were kept: they have the numbers from `before` + 1 to
    `after`, in the order of the work. `others` counts what appeared between its head and `before`.
    """

    before: int
    after: int
    catalog: Catalog
    others: Mapping[int, Count]
    trimmed_messages: int


class PageRequest(msgspec.Struct, frozen=True):
    """A page to read: these `holes`, or, without any, the messages after `after`."""

    topic: str
    topic_id: int
    after: int
    holes: Sequence[int]
    messages_max: int
    bytes_max: int


class Page(msgspec.Struct, frozen=True):
    """Messages in order: all requested ones up to `read_to`."""

    messages: Sequence[Stored]
    read_to: int


def prepare(message: bus.Outgoing, now_us: int) -> Prepared:
    """Turn a message into the values of a row.

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
    """Check for text that SQLite would cut short or reject: a NUL, half of a surrogate pair.

    Raises:
        Poison: it is such a text.
    """
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise errors.Poison("MESSAGE_TEXT_INVALID", f"a name or key that is not text: {text!r}")


def as_properties(properties: Mapping[str, str]) -> str:
    """Return the properties as JSON.

    Raises:
        Poison: one of them is not text.
    """
    try:
        texts = msgspec.convert(dict(properties), dict[str, str])
        return msgspec.json.encode(texts).decode()
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise errors.Poison("MESSAGE_TEXT_INVALID", f"properties: {error}") from error


def as_text(payload: bytes) -> tuple[str, bool]:
    """Return the payload as text, and whether it is base64, for payloads with NULs or no text."""
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
