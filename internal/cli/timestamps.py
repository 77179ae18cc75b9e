"""Reads times as people write them, "2026-03-01T09:30" or "15m" ago, as microseconds. Pure."""

import datetime
import re

import typer

from internal.kernel import local_days
from internal.kernel.clock import US_PER_SECOND

_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
FORMS = (
    "2026-03-01, 2026-03-01T09:30, with a zone such as +01:00 or without, or 90s, 15m, 2h, 7d ago"
)


def parse(text: str, now_us: int, option: str, zone: datetime.tzinfo | None = None) -> int:
    """Return an instant in microseconds; a text without a zone is in `zone`, or local time.

    A local time that the clock skips or shows twice is the first instant from which on the clock
    shows it or a later time: see local_days.instant_of.

    Raises:
        typer.BadParameter: it is not an instant from 1970 on.
    """
    ago = _AGO.fullmatch(text)
    if ago:
        at_us = now_us - int(ago[1]) * _SECONDS[ago[2]] * US_PER_SECOND
    else:
        at_us = _calendar_us(text, option, zone)
    if at_us < 0:
        raise typer.BadParameter(f"{text!r} is before 1970", param_hint=option)
    return at_us


def _calendar_us(text: str, option: str, zone: datetime.tzinfo | None) -> int:
    try:
        at = datetime.datetime.fromisoformat(text)
        if at.tzinfo is None:
            return local_days.instant_of(at, zone)
    except (ValueError, OverflowError, OSError) as error:
        raise typer.BadParameter(f"{text!r} is not one of {FORMS}", param_hint=option) from error
    return (at - _EPOCH) // datetime.timedelta(microseconds=1)
