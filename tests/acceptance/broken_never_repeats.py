"""A Souk that is broken on purpose: its payment stage never repeats a fact that it has recorded.

Everything else is the real engine. If the stage dies between recording and sending, the broker
delivers the message again; the stage finds the work done and sends nothing.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from internal.orders import store
from internal.stages import payment_facts, payment_processing


def repeat_nothing(
    connection: object, orders: Sequence[store.OrderSnapshot]
) -> dict[int, payment_facts.EndFact]:
    """Replace payment_processing.repeat."""
    del connection, orders
    return {}


def take_over() -> None:
    """Replace the real code."""
    payment_processing.repeat = repeat_nothing


if __name__ == "__main__":
    from internal.host import command

    take_over()
    sys.exit(command.main(sys.argv[1:], Path(__file__)))
