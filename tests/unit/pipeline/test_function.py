"""A function knows a message by its topic, whatever partition it came from."""

import pytest

from functions.finalization import Finalization
from internal.host import functions as hosting
from internal.infra import bus
from internal.pipeline import handler, runner


class Inbox:
    """A runner that only takes messages."""

    def __init__(self) -> None:
        self.taken: list[handler.Incoming] = []

    def offer(self, incoming: handler.Incoming) -> None:
        """See Runner.offer."""
        self.taken.append(incoming)


@pytest.mark.parametrize(
    ("told", "topic"),
    [
        ("orders.paid", "orders.paid"),
        ("persistent://souk/pos/orders.paid", "orders.paid"),
        ("persistent://souk/pos/orders.paid-partition-0", "orders.paid"),
        ("persistent://souk/pos/orders.paid-partition-13", "orders.paid"),
        ("persistent://souk/pos/a-partition-of-some", "a-partition-of-some"),
    ],
)
def test_a_partition_is_a_part_of_its_topic(told: str, topic: str) -> None:
    function, inbox = Finalization(), Inbox()
    running: runner.Runner = inbox  # type: ignore[assignment] # it is asked for no more
    function.bind(running)
    delivery = bus.Delivery(told, "7", "00", b"{}", {})
    function.process(b"{}", hosting.MessageContext(delivery))
    (incoming,) = inbox.taken
    assert incoming.topic == topic
    assert incoming.handle[1] == told
    assert incoming.message_id == "7"
