"""Times as people write them."""

import contextlib
import datetime
import time
import zoneinfo
from collections.abc import Iterator

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from internal.cli import timestamps
from internal.cli.commands import orders
from internal.kernel import local_days

NOW_US = 1_800_000_000_000_000


def parse(text: str) -> int:
    """Read a moment as seen from NOW_US."""
    return timestamps.parse(text, NOW_US, "--since")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7_200), ("7d", 604_800)]
)
def test_durations_are_written_as_they_are_read(text: str, seconds: int) -> None:
    assert timestamps.duration_s(text, "--hold") == seconds
    assert timestamps.duration_text(seconds) == text


@pytest.mark.parametrize("text", ["", "1", "-1s", "1w", "1.5h", "2h30m"])
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="such as 90s"):
        timestamps.duration_s(text, "--hold")


def test_a_zone_is_one_that_this_machine_knows() -> None:
    assert timestamps.zone("UTC", "--time-zone") is datetime.UTC
    assert timestamps.zone("Asia/Tokyo", "--time-zone") == zoneinfo.ZoneInfo("Asia/Tokyo")
    with pytest.raises(typer.BadParameter, match="did you mean Asia/Tokyo"):
        timestamps.zone("Asia/Tokio", "--time-zone")


@pytest.mark.parametrize(
    ("text", "seconds_ago"), [("90s", 90), ("15m", 900), ("2h", 7_200), ("7d", 604_800), ("0s", 0)]
)
def test_ago(text: str, seconds_ago: int) -> None:
    assert parse(text) == NOW_US - seconds_ago * 1_000_000


def test_zone_is_kept() -> None:
    assert parse("1970-01-02T01:00:00.000001+01:00") == 86_400_000_001


def test_without_a_zone_it_is_local_time() -> None:
    local = datetime.datetime(2026, 3, 1, 9, 30).astimezone()
    assert parse("2026-03-01T09:30") == int(local.timestamp()) * 1_000_000


@given(at_us=st.integers(0, 4_000_000_000_000_000))
def test_no_microsecond_is_lost(at_us: int) -> None:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    at = epoch + datetime.timedelta(microseconds=at_us)
    assert parse(at.isoformat()) == at_us


@pytest.mark.parametrize("text", ["yesterday", "", "5", "5w", "2026-13-01", "1969-12-30", "-5m"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse(text)


@given(text=st.text(max_size=20))
def test_any_text_is_an_instant_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(typer.BadParameter):
        assert parse(text) >= 0


@pytest.fixture
def machine_zone(request: pytest.FixtureRequest) -> Iterator[zoneinfo.ZoneInfo]:
    """Run in a time zone, as the variable TZ sets it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TZ", request.param)
        time.tzset()
        yield zoneinfo.ZoneInfo(request.param)
    time.tzset()


def seconds(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).timestamp())


@pytest.mark.parametrize("machine_zone", ["America/Santiago"], indirect=True)
def test_an_order_is_on_the_day_before_a_midnight_that_does_not_exist(
    machine_zone: zoneinfo.ZoneInfo,
) -> None:
    del machine_zone
    placed_s = seconds("2026-09-06T03:30:00Z")
    fifth = orders._listing(orders.Filters(since="2026-09-05", until="2026-09-06"), NOW_US)
    sixth = orders._listing(orders.Filters(since="2026-09-06", until="2026-09-07"), NOW_US)
    assert fifth.placed_after.seconds <= placed_s < fifth.placed_before.seconds
    assert sixth.placed_after.seconds == fifth.placed_before.seconds
    assert sixth.placed_after.seconds == seconds("2026-09-06T04:00:00Z")


@pytest.mark.parametrize(
    "machine_zone",
    ["America/Santiago", "Africa/Cairo", "Asia/Beirut", "America/Havana", "Europe/Berlin"],
    indirect=True,
)
def test_the_machine_s_zone_is_like_a_named_one(machine_zone: zoneinfo.ZoneInfo) -> None:
    hours = range(366 * 24)
    new_year = datetime.datetime(2026, 1, 1, 0, 30)  # noqa: DTZ001 - local
    for local in (new_year + datetime.timedelta(hours=hour) for hour in hours):
        assert parse(local.isoformat()) == local_days.instant_of(local, machine_zone)
