"""A Souk that is broken on purpose: an instance of its function goes on after SIGTERM.

Everything else is the real engine. The functions worker would have to kill the instance, with all
that it has taken.
"""

from internal.pipeline import leaving


def stay(departure: leaving.Departure, number: int, frame: object) -> None:
    """Replace leaving.Departure.signalled."""
    del departure, number, frame


def take_over() -> None:
    """Replace the real code."""
    setattr(leaving.Departure, "signalled", stay)  # noqa: B010 - mypy refuses the assignment
