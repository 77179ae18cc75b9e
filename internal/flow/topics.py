"""The flow as one table: which stage reads which topic, and where each fact goes next.

A fact only goes forward.

orders.placed -> order_processing -> orders.accepted -> payment_processing -> orders.paid ->
finalization -> orders.finalized; refusals and cancellations of any stage -> orders.rejected; dead
letters -> <topic>.dlq; payments.open tells calls that wait that an order waits for its customer

Facts that no stage takes, such as a delivery, go from the outbox to the topic `events`.

A command is for one stage and has a topic of its own, keyed like the orders. Two topics have no
common order: what is decided first is decided by the lock on the order's row.
"""

from internal.catalogue.messages import ProductsChanged
from internal.inventory.messages import StockChanged
from internal.kernel import errors
from internal.orders import messages
from internal.pipeline import dead_letters, outbox
from internal.pipeline.envelope import Envelope
from internal.pipeline.handler import Stage

PLACED = "orders.placed"
ACCEPTED = "orders.accepted"
PAID = "orders.paid"
FINALIZED = "orders.finalized"
REJECTED = "orders.rejected"
LEFT_OPEN = "payments.open"
ORDER_COMMANDS = "orders.commands"
PAYMENT_COMMANDS = "payments.commands"

TOPIC_OF: dict[type, str] = {
    messages.OrderPlaced: PLACED,
    messages.CancelRequested: ORDER_COMMANDS,
    messages.UpdateOrder: ORDER_COMMANDS,
    messages.OrderAccepted: ACCEPTED,
    messages.OrderPaid: PAID,
    messages.OrderFinalized: FINALIZED,
    messages.OrderRejected: REJECTED,
    messages.OrderCancelled: REJECTED,
    messages.OrderExpired: REJECTED,
    messages.OrderLeftOpen: LEFT_OPEN,
    messages.PaymentDue: PAYMENT_COMMANDS,
    messages.AddTender: PAYMENT_COMMANDS,
    StockChanged: outbox.EVENTS,
    ProductsChanged: outbox.EVENTS,
}
"""Every room's facts. A message can hold these and no others."""
WITH_PRIVATE_HALVES = (PLACED, ORDER_COMMANDS, PAYMENT_COMMANDS)
"""The topics whose facts may have a private half; docs/api.md says how long they keep it."""
ENVELOPE = Envelope(TOPIC_OF, WITH_PRIVATE_HALVES)

ORDER = Stage(
    messages.LogStage.ORDER,
    (PLACED, ORDER_COMMANDS),
    (messages.OrderPlaced, messages.CancelRequested, messages.UpdateOrder),
    30,
    ENVELOPE,
)
PAYMENT = Stage(
    messages.LogStage.PAYMENT,
    (ACCEPTED, PAYMENT_COMMANDS),
    (messages.OrderAccepted, messages.PaymentDue, messages.AddTender),
    30,
    ENVELOPE,
)
FINALIZATION = Stage(messages.LogStage.FINALIZATION, (PAID,), (messages.OrderPaid,), 30, ENVELOPE)
STAGES = (ORDER, PAYMENT, FINALIZATION)
STAGE_OF = {(topic, stage.subscription): stage for stage in STAGES for topic in stage.topics}
"""The stage that reads a topic by a subscription."""

OUTCOMES = (ACCEPTED, PAID, LEFT_OPEN, FINALIZED, REJECTED)
"""The topics that tell a waiting client of any step of its order."""
DECIDED = (ACCEPTED, REJECTED)
"""Those that tell it what the order stage has decided."""
ENDED = (FINALIZED, REJECTED)
"""Those that tell it that the order has ended."""
AT_REST = (LEFT_OPEN, *ENDED)
"""Those that tell it that the order has ended, or waits for its customer."""

DEAD_LETTER_SUBSCRIPTION = "operators"


def stage_named(name: str) -> Stage:
    """Return a stage by its name.

    Raises:
        InvalidInput: no stage has that name.
    """
    for stage in STAGES:
        if stage.name == name:
            return stage
    known = ", ".join(stage.name for stage in STAGES)
    raise errors.InvalidInput([("stage", f"there is no stage {name!r}; there are {known}")])


def all_topics() -> list[str]:
    """Return every topic of Souk: all that facts go to, all that stages read, the dead letters."""
    return sorted({*TOPIC_OF.values(), *subscriptions()})


def dead_letter_topics() -> list[str]:
    """Return the topics for copies of dead letters, one for each topic that a stage reads."""
    return [dead_letters.topic_for(topic) for stage in STAGES for topic in stage.topics]


def subscriptions() -> dict[str, list[str]]:
    """Return every durable subscription, by topic, that must exist before messages flow."""
    read = {topic: [stage.subscription] for stage in STAGES for topic in stage.topics}
    return read | {topic: [DEAD_LETTER_SUBSCRIPTION] for topic in dead_letter_topics()}
