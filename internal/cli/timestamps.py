"""Reads times as people write them: "2026-03-01T09:30" or "15m" ago, durations, zones. Pure."""

import datetime
import re
import zoneinfo

import typer

from internal.console import suggestions
from internal.kernel import local_days
from internal.kernel.clock import US_PER_SECOND

_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
UTC = "UTC"
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


def duration_s(text: str | None, option: str) -> int | None:
    """Return the seconds of a duration such as 90s, 15m, 2h or 7d; None of None.

    Raises:
        typer.BadParameter: it is not one.
    """
    if text is None:
        return None
    match = _AGO.fullmatch(text)
    if match is None:
        what = f"{text!r} is not a duration such as 90s, 15m, 2h or 7d"
        raise typer.BadParameter(what, param_hint=option)
    return int(match[1]) * _SECONDS[match[2]]


def duration_text(length_s: int) -> str:
    """Write a duration so that `duration_s` reads it: in the largest unit that fits."""
    unit = next(it for it in reversed(_SECONDS) if length_s % _SECONDS[it] == 0)
    return f"{length_s // _SECONDS[unit]}{unit}"


def zone(name: str, option: str) -> datetime.tzinfo:
    """Return a time zone. UTC needs no file, so that it works on a machine without any.

    Raises:
        typer.BadParameter: this machine has no zone of that name.
    """
    if name == UTC:
        return datetime.UTC
    known = sorted(zoneinfo.available_timezones())
    if name not in known:
        text = suggestions.unknown("time zone", name, known)
        raise typer.BadParameter(text, param_hint=option)
    return zoneinfo.ZoneInfo(name)
