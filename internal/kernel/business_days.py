"""Business days: the day of a store on which something counts, as the integer YYYYMMDD. Pure.

A store's day may begin after its midnight: a bar that closes at four counts its night to one day.
"""

import datetime

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def of(at_us: int, zone: datetime.tzinfo = datetime.UTC, cut_off_minutes: int = 0) -> int:
    """Return the business day of an instant.

    Args:
        at_us: the instant, in microseconds.
        zone: the store's time zone.
        cut_off_minutes: how long after the local midnight a day begins.
    """
    local = (_EPOCH + datetime.timedelta(microseconds=at_us)).astimezone(zone)
    day = (local.replace(tzinfo=None) - datetime.timedelta(minutes=cut_off_minutes)).date()
    return day.year * 10_000 + day.month * 100 + day.day
