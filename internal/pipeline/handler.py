"""The parts of a stage that are its own: its place in the flow and its handler.

A handler (functions/*.py) gives claim, decide and record as one function of a database connection;
the runner does everything else. Must not know a noun.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from internal.infra import bus, db, settings
from internal.kernel import ids
from internal.kernel.clock import Clock
from internal.kernel.facts import Fact
from internal.pipeline import envelope
from internal.privacy.messages import NOTHING, Private

BATCH_OBJECTS_MAX = 300_000
"""About how many objects a batch keeps alive, which then go by themselves. A process that runs
stages lets Python's garbage collector look no earlier: with a limit that a batch reaches, each look
walks over all of them and frees hardly any. With 50,000 that took a tenth of the first stage's
processor time.
"""


class Stage(msgspec.Struct, frozen=True):
    """A place in the flow: a name, the topics that are read, and the facts that are taken."""

    name: str
    topics: tuple[str, ...]
    """First the facts of the stage before it, then the commands that are for this stage only."""
    takes: tuple[type, ...]
    deadline_s: int
    """How long a fact may wait for this stage before it is sent again."""
    envelope: envelope.Envelope
    """Opens what the stage reads and packs what it sends."""

    @property
    def subscription(self) -> str:
        """The durable subscription's name; fixed, so that a redeployed function continues."""
        return self.name


class Incoming(msgspec.Struct):
    """A message that was received; its host wants `handle` back to acknowledge it."""

    topic: str
    payload: bytes
    handle: Any
    message_id: str = ""
    """The broker's, as text. With it, a message that comes twice makes one dead letter."""
    redeliveries: int = 0
    open_facts: int = 0
    is_suspect: bool = False
    """A process that crashed may have held it."""


class Work(msgspec.Struct):
    """One fact, and on its second pass what its effect resulted in."""

    fact: Any
    """One of those that the stage takes; the handler narrows it."""
    source: Incoming
    result: Any = None
    place: int = 0
    """In its message."""
    raw: bytes | msgspec.Raw = b""
    """The fact as it was sent. Of what cannot be read: a message of it alone."""
    private: Private = NOTHING
    """The fact's private half. It stays beside it in every batch and pass."""
    is_counted: bool = False
    """See crash_counts.py."""

    @property
    def subject(self) -> ids.Subject:
        """What the fact is about."""
        return ids.Subject(self.fact.subject_kind, self.fact.merchant_id, self.fact.key)


class Settled(msgspec.Struct, frozen=True):
    """It is recorded, and these facts are sent next (on a repetition, too)."""

    facts: tuple[Fact, ...] = ()


class Waiting(msgspec.Struct, frozen=True):
    """It is recorded so far; something outside must be done before it can go on."""

    effect: Any


Outcome = Settled | Waiting


class StageHandler(Protocol):
    """The decisions of a stage about its facts."""

    spec: Stage

    def record(self, connection: sa.Connection, work: Sequence[Work], now_us: int) -> list[Outcome]:
        """Claim, decide and record a batch in one transaction; one outcome per work, in its order.

        It may run several times for one batch (a deadlock, a lost connection), so it keeps nothing
        between runs.

        Raises:
            Temporary: repeat the whole transaction.
            Exception: anything else is a bug or poison; the batch is halved until the one fact is
            found.
        """
        ...

    async def perform(self, effect: Any) -> Any:  # noqa: ANN401 - the handler's own type
        """Do what a Waiting asked for, and return what is known then.

        Raises:
            Temporary: nothing is known yet; it is tried again.
            Exception: anything else is a bug; this one fact becomes a dead letter.
        """
        ...

    def abandon(self, connection: sa.Connection, fact: Any) -> None:  # noqa: ANN401 - as Work.fact
        """Note, in the transaction that stores its dead letter, that only a replay resumes it."""
        ...


class Ports(msgspec.Struct, frozen=True):
    """The parts that a stage works with. Its host chooses the implementations."""

    database: db.Database
    publisher: bus.Publisher
    clock: Clock
    acknowledge: Callable[[Sequence[Any]], Awaitable[None]]
    """Takes the handles of messages that are done."""
    quarantine: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)
    """Held by a stage while it retries what has crashed a process: one at a time in a process, so
    that no other stage's suspects are counted when it crashes. The stages of a process share their
    ports.
    """


class Limits(msgspec.Struct, frozen=True):
    """How much a stage takes at a time."""

    batch_orders_max: int = 2_000
    batch_bytes_max: int = 8 * 1024 * 1024
    """Of messages: 2,000 orders of 100 lines. More would hold locks and memory for seconds."""
    effects_max: int = 1_024
    logs_every_fact: bool = False
    """A DEBUG line for each fact that was sent; refusals are always logged."""
    suspect_messages: int = 1_000
    """This many messages after the start may have been held by a process that crashed: as many as
    a host takes without acknowledging any.
    """


def limits_of(options: settings.Settings) -> Limits:
    """Return the limits that the settings give."""
    return Limits(
        options.stages.batch_orders_max,
        effects_max=options.stages.effects_max,
        logs_every_fact=options.log.level == "DEBUG",
        suspect_messages=options.stages.unacked_messages_max,
    )
