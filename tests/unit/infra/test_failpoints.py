"""Failpoints act at the passages they are armed for, and only under test."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.infra import failpoints
from internal.kernel import errors


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm({})


def pass_by(name: str, times: int) -> list[int]:
    """Return the passages at which the failpoint raised."""
    raised = []
    for passage in range(1, times + 1):
        try:
            failpoints.hit(name)
        except errors.DatabaseAway:
            raised.append(passage)
    return raised


@pytest.mark.parametrize(
    ("text", "raised"),
    [
        ("a.b=raise", [1]),
        ("a.b=raise@1", [1]),
        ("a.b=raise@3", [3]),
        ("a.b=raise@2-4", [2, 3, 4]),
        ("a.b=raise@2-2", [2]),
        ("x.y=raise@1-9", []),
        (" a.b=raise@2 , x.y=kill@1,", [2]),
        ("", []),
    ],
)
def test_a_failpoint_acts_at_its_passages(text: str, raised: list[int]) -> None:
    failpoints.arm(failpoints.parse(text))
    assert pass_by("a.b", 5) == raised


def test_a_failpoint_may_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failpoints, "SLEEP_S", 0)
    failpoints.arm(failpoints.parse("a.b=sleep@1-2"))
    assert not pass_by("a.b", 3)


def test_arming_again_replaces() -> None:
    failpoints.arm(failpoints.parse("a.b=raise@1-9"))
    failpoints.arm(failpoints.parse("c.d=raise"))
    assert not pass_by("a.b", 1)
    assert pass_by("c.d", 2) == [1]


@pytest.mark.parametrize(
    "text", ["a.b", "a.b=explode", "A=kill", "a=kill@", "a=kill@x", "a=kill@1-", "a=raise@5-1",
             "a=raise@0", "a=raise b=kill", "a=raise;b=kill"]
)  # fmt: skip
def test_an_invalid_failpoint_stops_the_start(text: str) -> None:
    with pytest.raises(errors.Misconfigured, match="SOUK_FAILPOINTS"):
        failpoints.parse(text)


@given(st.text(alphabet="ab.=@-,0123456789kilrase", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        armed = failpoints.parse(text)
    except errors.Misconfigured:
        return
    assert all(1 <= point.first <= point.last for point in armed.values())


def test_failpoints_are_for_tests_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUK_FAILPOINTS", "a.b=raise")
    monkeypatch.delenv("SOUK_TESTING", raising=False)
    with pytest.raises(errors.Misconfigured, match="SOUK_TESTING"):
        failpoints.from_environment()
    monkeypatch.setenv("SOUK_TESTING", "1")
    assert failpoints.from_environment().keys() == {"a.b"}
    monkeypatch.delenv("SOUK_FAILPOINTS")
    assert not failpoints.from_environment()


def test_kill_is_a_real_kill() -> None:
    code = (
        "from internal.infra import failpoints as f;"
        "f.arm(f.parse('a.b=kill@2')); f.hit('a.b'); print('once', flush=True); f.hit('a.b')"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert killed.stdout == b"once\n"
