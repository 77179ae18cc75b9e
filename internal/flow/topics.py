"""The flow as one table: which stage reads which topic, and where each fact goes next.

Nothing calls back.

orders.placed -> order_processing -> orders.accepted -> payment_processing -> orders.paid ->
finalization -> orders.finalized; refusals and cancellations of any stage -> orders.rejected; what
no retry can cure -> <topic>.dlq
"""

import msgspec

from internal.kernel import errors
from internal.orders import messages

PLACED = "orders.placed"
ACCEPTED = "orders.accepted"
PAID = "orders.paid"
FINALIZED = "orders.finalized"
REJECTED = "orders.rejected"


class Stage(msgspec.Struct, frozen=True):
    """One station: its name, the topic it reads, the facts it takes.

    And how long an order may wait for it.
    """

    name: str
    topic: str
    takes: tuple[type, ...]
    deadline_s: int

    @property
    def subscription(self) -> str:
        """The durable subscription's name.

        Fixed, so that a redeployed function goes on where it was.
        """
        return self.name


ORDER = Stage(messages.LogStage.ORDER, PLACED, (messages.OrderPlaced, messages.CancelRequested), 30)
PAYMENT = Stage(messages.LogStage.PAYMENT, ACCEPTED, (messages.OrderAccepted,), 30)
FINALIZATION = Stage(messages.LogStage.FINALIZATION, PAID, (messages.OrderPaid,), 30)
STAGES = (ORDER, PAYMENT, FINALIZATION)

TOPIC_OF: dict[type, str] = {
    messages.OrderPlaced: PLACED,
    messages.CancelRequested: PLACED,
    messages.OrderAccepted: ACCEPTED,
    messages.OrderPaid: PAID,
    messages.OrderFinalized: FINALIZED,
    messages.OrderRejected: REJECTED,
    messages.OrderCancelled: REJECTED,
}
OUTCOMES = (ACCEPTED, PAID, FINALIZED, REJECTED)
"""What a waiting client listens to."""

DEAD_LETTER_SUBSCRIPTION = "operators"


def dead_letter_topic(topic: str) -> str:
    """Name the topic for what could not be processed."""
    return f"{topic}.dlq"


def short_name(topic: str) -> str:
    """Return a topic's name without tenant and namespace, as Souk knows it."""
    return topic.rpartition("/")[2]


def stage_named(name: str) -> Stage:
    """Return a stage by its name.

    Raises:
        InvalidInput: there is none of that name.
    """
    for stage in STAGES:
        if stage.name == name:
            return stage
    known = ", ".join(stage.name for stage in STAGES)
    raise errors.InvalidInput([("stage", f"there is no stage {name!r}; there are {known}")])


def subscriptions() -> dict[str, list[str]]:
    """Return every durable subscription, by topic, that must exist before messages flow."""
    wanted = {stage.topic: [stage.subscription] for stage in STAGES}
    for stage in STAGES:
        wanted[dead_letter_topic(stage.topic)] = [DEAD_LETTER_SUBSCRIPTION]
    return wanted
