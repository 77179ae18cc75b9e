"""Days of time zones as arithmetic agree with the calendar of the zone, hour by hour."""

import datetime
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.kernel import errors, local_days
from internal.kernel.clock import US_PER_SECOND
from tests.unit.reports import samples

HOUR_US = 3_600 * US_PER_SECOND
YEARS_10_US = 3_653 * local_days.DAY_US
ZONES = st.sampled_from(sorted(zoneinfo.available_timezones()))
INSTANTS = st.integers(0, 2_000_000_000 * US_PER_SECOND)


def date_by_offsets(at_us: int, found: list[local_days.Offset]) -> str:
    offset_us = next((it.offset_us for it in found if at_us < it.until_us), found[-1].offset_us)
    return local_days.date_text(at_us + offset_us)


def date_by_calendar(at_us: int, zone: datetime.tzinfo) -> str:
    return datetime.datetime.fromtimestamp(at_us // US_PER_SECOND, zone).date().isoformat()


@given(ZONES, INSTANTS, st.integers(1, YEARS_10_US), st.floats(0, 1, exclude_max=True))
def test_any_instant_falls_on_the_day_of_the_calendar(
    name: str, since_us: int, length_us: int, share: float
) -> None:
    zone = zoneinfo.ZoneInfo(name)
    found = local_days.offsets(since_us, since_us + length_us, zone)
    at_us = since_us + int(length_us * share)
    assert date_by_offsets(at_us, found) == date_by_calendar(at_us, zone)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("UTC", []),
        ("Asia/Tokyo", []),
        ("Europe/Berlin", ["2026-03-29T01:00:00+00:00", "2026-10-25T01:00:00+00:00"]),
        ("America/New_York", ["2026-03-08T07:00:00+00:00", "2026-11-01T06:00:00+00:00"]),
    ],
)
def test_changes_are_found_to_the_microsecond(name: str, changes: list[str]) -> None:
    since_us, until_us = (
        samples.us_of("2026-01-01T00:00:00+00:00"),
        samples.us_of("2027-01-01T00:00:00+00:00"),
    )
    found = local_days.offsets(since_us, until_us, zoneinfo.ZoneInfo(name))
    assert [it.until_us for it in found] == [*map(samples.us_of, changes), until_us]


def test_two_changes_within_a_day_are_both_found() -> None:
    class Restless(datetime.tzinfo):
        """Adds an hour at 06:00 UTC and another at 18:00."""

        def utcoffset(self, at: datetime.datetime | None) -> None:
            """Not asked: `fromutc` tells the whole local time."""

        dst = utcoffset

        def tzname(self, at: datetime.datetime | None) -> str:
            return f"restless {at}"

        def fromutc(self, at: datetime.datetime) -> datetime.datetime:
            hours = (at.hour >= 6) + (at.hour >= 18)
            zone = datetime.timezone(datetime.timedelta(hours=hours))
            return at.replace(tzinfo=datetime.UTC).astimezone(zone)

    start_us = samples.us_of("2026-01-01T00:00:00+00:00")
    assert local_days.offsets(start_us, start_us + 23 * HOUR_US, Restless()) == [
        (start_us + 6 * HOUR_US, 0),
        (start_us + 18 * HOUR_US, HOUR_US),
        (start_us + 23 * HOUR_US, 2 * HOUR_US),
    ]


@pytest.mark.parametrize(
    ("name", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Europe/Berlin", "2026-10-26", 24),
        ("Pacific/Apia", "2011-12-30", 0),
    ],
)
def test_a_day_is_as_long_as_its_zone_makes_it(name: str, day: str, hours: int) -> None:
    zone = zoneinfo.ZoneInfo(name)
    since_us, until_us = (
        samples.us_of(f"{day}T00:00:00+00:00"),
        samples.us_of(f"{day}T00:00:00+00:00"),
    )
    window = range(since_us - 30 * HOUR_US, until_us + 60 * HOUR_US, HOUR_US)
    found = local_days.offsets(window.start, window.stop, zone)
    assert sum(date_by_offsets(at_us, found) == day for at_us in window) == hours


@given(ZONES, st.integers(400_000_000, 2_000_000_000))
def test_a_day_starts_on_its_date_and_not_later(name: str, at_s: int) -> None:
    zone, at_us = zoneinfo.ZoneInfo(name), at_s * US_PER_SECOND
    start_us = local_days.start_of_day(at_us, zone)
    assert at_us - 26 * HOUR_US < start_us <= at_us
    assert date_by_calendar(start_us, zone) == date_by_calendar(at_us, zone)


@pytest.mark.parametrize(
    ("name", "at", "start"),
    [
        ("Asia/Beirut", "2026-03-29T12:00:00+00:00", "2026-03-28T22:00:00+00:00"),
        ("America/Havana", "2026-11-01T12:00:00+00:00", "2026-11-01T04:00:00+00:00"),
    ],
)
def test_a_day_starts_even_if_its_midnight_is_missing_or_comes_twice(
    name: str, at: str, start: str
) -> None:
    zone = zoneinfo.ZoneInfo(name)
    assert local_days.start_of_day(samples.us_of(at), zone) == samples.us_of(start)


def test_an_instant_is_written_in_its_zone() -> None:
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    assert local_days.instant_text(0, berlin) == "1970-01-01T01:00:00+01:00"


DATES = st.dates(datetime.date(1971, 1, 2), datetime.date(2100, 1, 1))
DAY = datetime.timedelta(days=1)


def midnight(day: datetime.date, zone: datetime.tzinfo) -> int:
    """Return the instant at which a day begins."""
    return local_days.instant_of(datetime.datetime.combine(day, datetime.time()), zone)


def wall(at_us: int, zone: datetime.tzinfo) -> datetime.datetime:
    """Return the local time that the zone's clock shows."""
    at = datetime.datetime.fromtimestamp(at_us // US_PER_SECOND, zone).replace(tzinfo=None)
    return at + datetime.timedelta(microseconds=at_us % US_PER_SECOND)


@given(ZONES, DATES, st.floats(0, 1, exclude_max=True))
def test_days_follow_each_other_without_gap_or_overlap(
    name: str, day: datetime.date, share: float
) -> None:
    zone = zoneinfo.ZoneInfo(name)
    start_us, end_us = midnight(day, zone), midnight(day + DAY, zone)
    assert start_us <= end_us
    at_us = start_us + int((end_us - start_us) * share)
    if start_us < end_us:
        assert local_days.start_of_day(at_us, zone) <= start_us
        assert midnight(day + DAY, zone) > at_us
        assert wall(start_us, zone).date() == day
    assert wall(start_us - 1, zone) < datetime.datetime.combine(day, datetime.time())


LOCALS = st.builds(datetime.datetime.combine, DATES, st.times())


@given(ZONES, LOCALS)
def test_a_local_time_is_the_first_instant_that_shows_it_or_a_later_one(
    name: str, local: datetime.datetime
) -> None:
    zone = zoneinfo.ZoneInfo(name)
    at_us = local_days.instant_of(local, zone)
    assert wall(at_us, zone) >= local
    assert wall(at_us - 1, zone) < local
    is_skipped = wall(at_us, zone) > local
    assert is_skipped == (
        local.replace(tzinfo=zone).astimezone(datetime.UTC).astimezone(zone).replace(tzinfo=None)
        != local
    )


@given(ZONES, LOCALS, st.timedeltas(datetime.timedelta(0), datetime.timedelta(days=3)))
def test_a_later_local_time_is_never_an_earlier_instant(
    name: str, local: datetime.datetime, later: datetime.timedelta
) -> None:
    zone = zoneinfo.ZoneInfo(name)
    assert local_days.instant_of(local, zone) <= local_days.instant_of(local + later, zone)


@pytest.mark.parametrize(
    ("name", "local", "instant"),
    [
        ("America/Santiago", "2026-09-06T00:00", "2026-09-06T04:00:00+00:00"),
        ("Africa/Cairo", "2026-04-24T00:00", "2026-04-23T22:00:00+00:00"),
        ("Asia/Beirut", "2026-03-29T00:00", "2026-03-28T22:00:00+00:00"),
        ("America/Havana", "2026-03-08T00:00", "2026-03-08T05:00:00+00:00"),
        ("America/Havana", "2026-11-01T00:00", "2026-11-01T04:00:00+00:00"),
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:00:00+00:00"),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30:00+00:00"),
        ("America/Toronto", "1919-03-31T00:00", "1919-03-31T04:30:00+00:00"),
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00:00+00:00"),
        ("America/St_Johns", "2006-10-29T00:00", "2006-10-29T02:30:00+00:00"),
        ("Europe/Berlin", "9999-12-31T23:59", "9999-12-31T22:59:00+00:00"),
        ("Pacific/Kiritimati", "9999-12-31T00:00", "9999-12-30T10:00:00+00:00"),
        ("America/Santiago", "9999-12-31T20:00", "9999-12-31T23:00:00+00:00"),
    ],
)
def test_local_times_that_are_skipped_or_come_twice(name: str, local: str, instant: str) -> None:
    zone = zoneinfo.ZoneInfo(name)
    found = local_days.instant_of(datetime.datetime.fromisoformat(local), zone)
    assert found == samples.us_of(instant)


@given(ZONES, INSTANTS, st.integers(0, 23 * 60))
def test_a_business_day_is_the_only_one_that_holds_an_instant(
    name: str, at_us: int, cut_off_minutes: int
) -> None:
    zone = zoneinfo.ZoneInfo(name)
    number = local_days.business_day(at_us, zone, cut_off_minutes)
    day, next_day = day_of(number), day_of(number) + datetime.timedelta(days=1)
    assert begin_of(day, zone, cut_off_minutes) <= at_us
    assert at_us < begin_of(next_day, zone, cut_off_minutes)
    begins_us = local_days.begins_us(number, zone, cut_off_minutes)
    assert begins_us == begin_of(day, zone, cut_off_minutes)
    ends_us = local_days.ends_us(number, zone, cut_off_minutes)
    assert ends_us == begin_of(next_day, zone, cut_off_minutes)


def day_of(number: int) -> datetime.date:
    return datetime.date(number // 10_000, number // 100 % 100, number % 100)


def begin_of(day: datetime.date, zone: datetime.tzinfo, cut_off_minutes: int) -> int:
    midnight = datetime.datetime.combine(day, datetime.time())
    return local_days.instant_of(midnight + datetime.timedelta(minutes=cut_off_minutes), zone)


@pytest.mark.parametrize(
    ("name", "cut_off_minutes", "at", "day"),
    [
        ("UTC", 0, "2026-03-01T00:00:00+00:00", 20260301),
        ("Europe/Berlin", 0, "2026-02-28T23:00:00+00:00", 20260301),
        ("Europe/Berlin", 240, "2026-03-01T02:59:59+00:00", 20260228),
        ("Europe/Berlin", 240, "2026-03-01T03:00:00+00:00", 20260301),
        ("America/Santiago", 0, "2026-09-06T03:59:59+00:00", 20260905),
        ("America/Santiago", 0, "2026-09-06T04:00:00+00:00", 20260906),
        ("America/Havana", 0, "2026-11-01T04:30:00+00:00", 20261101),
        ("America/Havana", 0, "2026-11-01T05:30:00+00:00", 20261101),
    ],
)
def test_business_days_begin_at_the_cut_off(
    name: str, cut_off_minutes: int, at: str, day: int
) -> None:
    found = local_days.business_day(samples.us_of(at), zoneinfo.ZoneInfo(name), cut_off_minutes)
    assert found == day


@given(at_us=INSTANTS, zone=ZONES, cut=st.integers(0, 1_439))
def test_no_business_day_is_earlier_than_the_earliest(at_us: int, zone: str, cut: int) -> None:
    day = local_days.business_day(at_us, local_days.zone_named(zone), cut)
    assert local_days.earliest_business_day(at_us) <= day


def test_a_zone_without_a_name_is_utc_and_an_unknown_one_is_refused() -> None:
    assert local_days.zone_named("") is datetime.UTC
    for name in ("Mars/Olympus", "../etc/passwd"):
        with pytest.raises(errors.Misconfigured, match="time zone"):
            local_days.zone_named(name)
