"""The calendar of a time zone as plain arithmetic: local times as instants, and days. Pure.

The one place where a local time becomes an instant. A clock that is set forward skips local times,
perhaps midnight, and one that is set back shows some of them twice: `instant_of` decides for both.
SQLite does not know time zones, and a MySQL server knows only those that were loaded into it. A
zone changes its offset only a few times a year, so a list of offsets describes any period.

A zone of None is the zone of this machine.
"""

import bisect
import datetime
import functools
import itertools
import zoneinfo
from typing import NamedTuple

from internal.kernel import errors
from internal.kernel.clock import US_PER_SECOND

DAY_US = 86_400 * US_PER_SECOND
HOUR_US = 3_600 * US_PER_SECOND
LAST_US = 253_370_764_800 * US_PER_SECOND
"""9999-01-01, UTC: Python's calendar ends with that year, in every zone."""
_END_US = LAST_US + 364 * DAY_US
"""9999-12-31, UTC: the last instant that has a local time in every zone."""
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_US = datetime.timedelta(microseconds=1)


class Offset(NamedTuple):
    """An offset from UTC, and the instant at which it ends."""

    until_us: int
    offset_us: int


def offsets(since_us: int, until_us: int, zone: datetime.tzinfo | None) -> list[Offset]:
    """Return the offsets of `zone` from `since_us` up to `until_us`, in order.

    The zone is asked once per day, and between two days that differ the change is bisected. Two
    changes within a day that cancel each other would be missed; no zone has had them since 1970.
    """
    found: list[Offset] = []
    for start_us, end_us in itertools.pairwise([*range(since_us, until_us, DAY_US), until_us]):
        left_us = start_us
        while (before := _offset_us(left_us, zone)) != _offset_us(end_us, zone):
            left_us = _first_other(left_us, end_us, zone)
            found.append(Offset(left_us, before))
    found.append(Offset(until_us, _offset_us(until_us, zone)))
    return found


def _first_other(left_us: int, right_us: int, zone: datetime.tzinfo | None) -> int:
    """Return the first instant after `left_us` with another offset."""
    before = _offset_us(left_us, zone)
    instants = range(left_us, right_us)
    return left_us + bisect.bisect_left(
        instants, 1, key=lambda at_us: int(_offset_us(at_us, zone) != before)
    )


def _offset_us(at_us: int, zone: datetime.tzinfo | None) -> int:
    offset = _local(at_us, zone).utcoffset()
    return (offset or datetime.timedelta()) // _US


def _local(at_us: int, zone: datetime.tzinfo | None) -> datetime.datetime:
    return (_EPOCH + at_us * _US).astimezone(zone)


def instant_of(local: datetime.datetime, zone: datetime.tzinfo | None) -> int:
    """Return the first instant, in microseconds, at which the zone's clock shows `local` or later.

    A local time that comes twice is its first occurrence; one that is skipped is the instant at
    which the clock was set forward. So days that begin at their midnight follow each other without
    a gap and without an overlap; a day that a zone skipped as a whole is empty.

    Args:
        local: a date and time without a zone.
        zone: the zone whose clock shows it.

    Raises:
        OverflowError: it is on the first days of Python's calendar, in the year 1.
    """
    local_us = (local.replace(tzinfo=datetime.UTC) - _EPOCH) // _US
    start_us = local_us - DAY_US
    found = offsets(start_us, min(local_us + DAY_US, _END_US), zone)
    for it in found[:-1]:
        if local_us < it.until_us + it.offset_us:
            return max(start_us, local_us - it.offset_us)
        start_us = it.until_us
    return max(start_us, local_us - found[-1].offset_us)


def start_of_day(at_us: int, zone: datetime.tzinfo | None) -> int:
    """Return the instant at which the day of `at_us` begins in `zone`."""
    day = _local(at_us, zone).date()
    return instant_of(datetime.datetime.combine(day, datetime.time()), zone)


@functools.lru_cache(maxsize=1024)
def zone_named(name: str) -> datetime.tzinfo:
    """Return the time zone of an IANA name; "" is UTC.

    Raises:
        Misconfigured: this machine knows no such zone.
    """
    if not name:
        return datetime.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        what = f"there is no time zone {name!r} on this machine; its package is called tzdata"
        raise errors.Misconfigured(what) from error


def business_day(at_us: int, zone: datetime.tzinfo, cut_off_minutes: int) -> int:
    """Return the business day of an instant, as the number YYYYMMDD.

    A business day begins at the first instant at which the zone's clock shows its cut-off or later,
    and ends where the next one begins: it has 23 to 25 hours. A day that a zone skipped is empty.
    """
    day = _day_shown(at_us // HOUR_US, zone)
    while at_us < _begins_us(day, zone, cut_off_minutes):
        day -= 1
    while at_us >= _begins_us(day + 1, zone, cut_off_minutes):
        day += 1
    return _number_of(day)


@functools.lru_cache(maxsize=1024)
def _number_of(day: int) -> int:
    date = datetime.date.fromordinal(day)
    return date.year * 10_000 + date.month * 100 + date.day


def earliest_business_day(at_us: int) -> int:
    """Return the earliest business day that an instant has anywhere.

    Clocks are up to 12 hours behind UTC, and a day may begin up to 24 hours after its midnight.
    """
    return day_before(day_before(business_day(at_us, datetime.UTC, 0)))


def day_before(business_day: int) -> int:
    """Return the calendar day before a business day, both as YYYYMMDD."""
    date = _date(business_day) - datetime.timedelta(days=1)
    return date.year * 10_000 + date.month * 100 + date.day


def begins_us(business_day: int, zone: datetime.tzinfo, cut_off_minutes: int) -> int:
    """Return the instant at which a business day, YYYYMMDD, begins."""
    return _begins_us(_date(business_day).toordinal(), zone, cut_off_minutes)


def ends_us(business_day: int, zone: datetime.tzinfo, cut_off_minutes: int) -> int:
    """Return the instant at which a business day, YYYYMMDD, is over and the next one begins."""
    return _begins_us(_date(business_day).toordinal() + 1, zone, cut_off_minutes)


def _date(business_day: int) -> datetime.date:
    year, rest = divmod(business_day, 10_000)
    return datetime.date(year, *divmod(rest, 100))


@functools.lru_cache(maxsize=1024)
def _day_shown(hour: int, zone: datetime.tzinfo) -> int:
    """Return the day that a zone's clock shows in an hour since the epoch, as an ordinal."""
    return _local(hour * HOUR_US, zone).date().toordinal()


@functools.lru_cache(maxsize=1024)
def _begins_us(day: int, zone: datetime.tzinfo, cut_off_minutes: int) -> int:
    midnight = datetime.datetime.combine(datetime.date.fromordinal(day), datetime.time())
    return instant_of(midnight + datetime.timedelta(minutes=cut_off_minutes), zone)


def date_text(local_us: int) -> str:
    """Return the date, YYYY-MM-DD, of an instant to which its zone's offset was added."""
    return (_EPOCH + local_us * _US).date().isoformat()


def instant_text(at_us: int, zone: datetime.tzinfo | None) -> str:
    """Return an instant in `zone`, ISO 8601 with its offset."""
    return _local(at_us, zone).isoformat()
