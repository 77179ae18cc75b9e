"""What makes a stage this stage and no other: its handler, and the values that it works with.

A handler (functions/*.py) gives claim, decide and record as one function of a database connection;
the runner does everything else. Must not know a noun.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from internal.flow import topics
from internal.infra import bus, db
from internal.kernel import ids
from internal.kernel.clock import Clock
from internal.orders.messages import Fact


class Incoming(msgspec.Struct):
    """A message at hand; `handle` is what its host wants back to acknowledge it."""

    topic: str
    payload: bytes
    handle: Any
    message_id: str = ""
    """The broker's, as text. With it, a message that comes twice makes one dead letter."""
    redeliveries: int = 0
    open_orders: int = 0
    is_suspect: bool = False
    """It may have been in the hands of a process that died."""


class Work(msgspec.Struct):
    """One order's fact, and on its second coming what its effect resulted in."""

    fact: Any
    """One of those that the stage takes; the station narrows it."""
    source: Incoming
    result: Any = None
    place: int = 0
    """In its message."""
    is_counted: bool = False
    """See crash_counts.py."""

    @property
    def name(self) -> ids.OrderRef:
        """The order's."""
        return ids.OrderRef(self.fact.merchant_id, self.fact.order_id)


class Settled(msgspec.Struct, frozen=True):
    """Recorded; these facts go on their way (also on a repetition)."""

    facts: tuple[Fact, ...] = ()


class Waiting(msgspec.Struct, frozen=True):
    """Recorded so far; something outside must be done before the order can go on."""

    effect: Any


Outcome = Settled | Waiting


class StageHandler(Protocol):
    """What makes a stage this stage and no other."""

    spec: topics.Stage

    def record(self, connection: sa.Connection, work: Sequence[Work], now_us: int) -> list[Outcome]:
        """Claim, decide and record a batch in one transaction; one outcome per work, in its order.

        It may run several times for one batch (a deadlock, a lost connection): it keeps nothing
        between runs.

        Raises:
            Temporary: repeat the whole transaction.
            Exception: anything else is a bug or poison; the batch is halved until the one order is
            found.
        """
        ...

    async def perform(self, effect: Any) -> Any:  # noqa: ANN401 - the station's own type
        """Do what a Waiting asked for, and return what is known then.

        Raises:
            Temporary: nothing is known yet; it is tried again.
            Exception: anything else is a bug; it costs this one order a dead letter.
        """
        ...


class Ports(msgspec.Struct, frozen=True):
    """What a stage works with. Its host decides which implementations these are."""

    database: db.Database
    publisher: bus.Publisher
    clock: Clock
    acknowledge: Callable[[Sequence[Any]], Awaitable[None]]
    """Takes the handles of messages that are done."""
    quarantine: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)
    """Held by a stage while it tries what has cost lives: one at a time in a process, so that no
    other stage's suspects are counted when it dies. The stages of a process share their ports.
    """


class Limits(msgspec.Struct, frozen=True):
    """How much at a time."""

    batch_orders_max: int = 2_000
    effects_max: int = 1_024
    logs_every_fact: bool = False
    """A DEBUG line for each order that went on its way; refusals are always told."""
    suspect_messages: int = 1_000
    """So many messages after the start may have been in the hands of a process that died: as many
    as a host takes without acknowledging any.
    """
