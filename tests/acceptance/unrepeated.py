"""A Souk that is broken on purpose: its payment stage is silent about what it has done before.

Everything else is the real engine. A stage that died between recording and sending is asked again
by the broker, finds the work done, and sends nothing: repeating the fact is there to prevent it.
"""

from collections.abc import Sequence
from pathlib import Path

from internal.admin import demo_shop
from internal.host import start
from internal.orders import paying, store


def say_nothing(connection: object, orders: Sequence[store.Recorded]) -> dict[int, paying.EndFact]:
    """Stand in for paying.repeat."""
    del connection, orders
    return {}


if __name__ == "__main__":
    paying.repeat = say_nothing
    start.run(demo_shop.seed, Path(__file__))
