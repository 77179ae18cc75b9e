"""A business day is the store's: its time zone, and the time at which its day begins."""

import datetime
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.kernel import business_days
from internal.kernel.local_days import DAY_US

ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Pacific/Apia"])


def instant(text: str) -> int:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (datetime.datetime.fromisoformat(text) - epoch) // datetime.timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("text", "zone", "cut_off_minutes", "day"),
    [
        ("2026-03-01T00:00+00:00", "UTC", 0, 20260301),
        ("2026-03-01T23:30+00:00", "Europe/Berlin", 0, 20260302),
        ("2026-03-02T03:59+01:00", "Europe/Berlin", 240, 20260301),
        ("2026-03-02T04:00+01:00", "Europe/Berlin", 240, 20260302),
        ("2026-03-29T04:00+02:00", "Europe/Berlin", 240, 20260329),
    ],
)
def test_a_day_begins_at_its_cut_off(text: str, zone: str, cut_off_minutes: int, day: int) -> None:
    found = business_days.of(instant(text), zoneinfo.ZoneInfo(zone), cut_off_minutes)
    assert found == day


@given(st.integers(0, 50 * 365 * DAY_US), ZONES, st.integers(0, 1_439))
def test_days_only_grow(at_us: int, zone: str, cut_off_minutes: int) -> None:
    place = zoneinfo.ZoneInfo(zone), cut_off_minutes
    days = [business_days.of(at_us + hours * DAY_US // 24, *place) for hours in range(0, 72, 6)]
    assert len(set(days)) in {3, 4}
    assert days[0] < days[-1]
