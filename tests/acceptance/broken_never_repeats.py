"""A Souk that is broken on purpose: its payment stage is silent about what it has done before.

Everything else is the real engine. A stage that died between recording and sending is asked again
by the broker, finds the work done, and sends nothing: repeating the fact is there to prevent it.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from internal.orders import store
from internal.stages import payment_processing


def say_nothing(
    connection: object, orders: Sequence[store.OrderSnapshot]
) -> dict[int, payment_processing.EndFact]:
    """Stand in for paying.repeat."""
    del connection, orders
    return {}


def take_over() -> None:
    """Put itself in the place of the real one."""
    payment_processing.repeat = say_nothing


if __name__ == "__main__":
    from internal.host import command

    take_over()
    sys.exit(command.main(sys.argv[1:], Path(__file__)))
