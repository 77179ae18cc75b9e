"""Retries: every kind of operation is really awaited, and only Temporary errors are retried."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from internal.infra import retry
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
