"""Retries: every kind of operation is really awaited, and only Temporary errors are retried."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from loguru import logger

from internal.infra import metrics, retry
from internal.kernel import errors


class Flaky:
    """Fails a number of times, then answers 42."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.failures, self.error, self.calls = failures, error, 0

    async def __call__(self) -> int:
        self.calls += 1
        await asyncio.sleep(0)
        if self.calls <= self.failures:
            raise self.error
        return 42


Wrap = Callable[[Flaky], Callable[[], Awaitable[int]]]
WRAPPERS: list[Wrap] = [
    lambda flaky: flaky,
    lambda flaky: lambda: flaky(),  # noqa: PLW0108 - a lambda is what callers pass
    lambda flaky: lambda: asyncio.ensure_future(flaky()),
]


@pytest.mark.parametrize("wrap", WRAPPERS, ids=["callable", "lambda", "future"])
async def test_until_it_works_gives_the_result_of_the_last_try(wrap: Wrap) -> None:
    flaky = Flaky(3, errors.BusAway("away"))
    assert await retry.until_it_works("test", wrap(flaky)) == 42
    assert flaky.calls == 4


@pytest.mark.parametrize("wrap", WRAPPERS, ids=["callable", "lambda", "future"])
async def test_shortly_gives_the_result_of_the_last_try(wrap: Wrap) -> None:
    flaky = Flaky(2, errors.DatabaseAway("away"))
    assert await retry.shortly(errors.DatabaseAway, wrap(flaky)) == 42


async def test_shortly_gives_up_with_the_last_error() -> None:
    flaky = Flaky(1_000, errors.DatabaseAway("away"))
    with pytest.raises(errors.DatabaseAway, match="away"):
        await retry.shortly(errors.DatabaseAway, flaky)
    assert flaky.calls == 1 + retry.SHORT_ATTEMPTS_MAX


@pytest.mark.parametrize("error", [errors.Poison("BAD", "bad"), ValueError("a bug")])
async def test_nothing_else_is_tried_again(error: Exception) -> None:
    flaky = Flaky(1, error)
    with pytest.raises(type(error)):
        await retry.until_it_works("test", flaky)
    assert flaky.calls == 1


async def test_a_transaction_that_is_too_large_is_not_tried_again_as_it_is() -> None:
    flaky = Flaky(1, errors.TooMuchAtOnce("too many locks"))
    with pytest.raises(errors.TooMuchAtOnce):
        await retry.shortly(errors.DatabaseAway, flaky)
    with pytest.raises(errors.TooMuchAtOnce):
        await retry.until_it_works("test", Flaky(1, flaky.error), (errors.TooMuchAtOnce,))
    assert await retry.until_it_works("test", Flaky(1, flaky.error)) == 42
    assert flaky.calls == 1


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Return the lines that are logged about waits; each is long, and none was told before."""
    monkeypatch.setattr(retry, "TOLD_AFTER_S", 0.0)
    monkeypatch.setattr(retry, "GRACE_S", 0.0)
    monkeypatch.setattr(retry, "_told_s", {})
    told: list[str] = []
    sink = logger.add(lambda message: told.append(message.record["message"]), level="WARNING")
    yield told
    logger.remove(sink)


LOCKED = errors.DatabaseAway("1205 Lock wait timeout exceeded", "row_lock")


def retried(who: str, reason: str) -> float:
    return float(metrics.TRANSACTION_RETRIES.labels(who, reason)._value.get())


async def test_a_wait_for_a_row_is_counted_and_told_for_its_stage(lines: list[str]) -> None:
    before = retried("a_stage", "row_lock")
    flaky = Flaky(3, LOCKED)
    result = await retry.until_it_works(
        "a_stage", lambda: retry.shortly(errors.DatabaseAway, flaky)
    )
    assert (result, retried("a_stage", "row_lock") - before) == (42, 3)
    of_lock = [line for line in lines if "1205" in line]
    assert of_lock[0].startswith("a_stage: a transaction has waited for 0 s: 1205 Lock wait")


async def test_a_wait_without_an_answer_is_told_while_it_lasts(lines: list[str]) -> None:
    async def until_told() -> int:
        while not lines:  # noqa: ASYNC110 - a log tells nobody
            await asyncio.sleep(0)
        return 42

    async with asyncio.timeout(10):
        assert await retry.shortly(errors.DatabaseAway, until_told) == 42
    assert retry.NO_ANSWER in lines[0]


async def test_a_wait_that_many_share_is_told_once(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a short one is only counted."""
    before = retried("souk", "row_lock")
    await retry.shortly(errors.DatabaseAway, Flaky(1, LOCKED))
    monkeypatch.setattr(retry, "TOLD_AFTER_S", 3_600.0)
    lines.clear()
    await asyncio.gather(*(retry.shortly(errors.DatabaseAway, Flaky(1, LOCKED)) for _ in range(20)))
    assert not lines
    assert retried("souk", "row_lock") - before == 21
    monkeypatch.setattr(retry, "_told_s", {})
    waits = [retry._Wait() for _ in range(20)]
    for wait in waits:
        wait._began_s -= 3_600.0
        wait.failed(LOCKED)
        wait.end()
    assert len(lines) == 1
