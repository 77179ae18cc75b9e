"""What becomes of an attempt when its call ends in any way at all."""

import asyncio
import json
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from loguru import logger

from internal.kernel import errors
from internal.payments import gateway_calls
from internal.payments.gateways.port import Answer, Charge, GatewayStatus, Void
from internal.payments.messages import Attempt, AttemptState, Operation

TOKEN = "tok_of_a_card"
CHARGE = Attempt(
    order_key=7,
    attempt_no=1,
    operation=Operation.SALE,
    tender_no=1,
    asked_minor=700,
    currency="EUR",
    key="m-1/o-1/1",
    state=AttemptState.PENDING,
    card_token=TOKEN,
)
VOID = msgspec.structs.replace(
    CHARGE, operation=Operation.VOID, key="m-1/o-1/2", parent_key=CHARGE.key
)
UNFORESEEN = [
    ConnectionResetError(104, f"reset while {TOKEN} was sent"),
    ssl.SSLError("record layer failure"),
    json.JSONDecodeError("Expecting value", TOKEN, 0),
    KeyError("status"),
    ExceptionGroup("two", [OSError("one"), ValueError("the other")]),
    errors.Misconfigured("the key of the account has expired"),
]
"""Errors that libraries raise, at any time before or after the money moved."""


class Adapter:
    """An adapter whose requests do what they are told; a lookup finds nothing."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act

    async def charge(self, request: Charge) -> Answer:
        """See Gateway.charge."""
        del request
        await asyncio.sleep(0)
        found: Answer = self._act()
        return found

    async def void(self, request: Void) -> Answer:
        """See Gateway.void."""
        del request
        await asyncio.sleep(0)
        found: Answer = self._act()
        return found

    async def lookup(self, key: str) -> Answer | None:
        """See Gateway.lookup."""
        del key
        await asyncio.sleep(0)
        return None

    async def close(self) -> None:
        """See Gateway.close."""


def failing(error: BaseException) -> Adapter:
    def act() -> Answer:
        raise error

    return Adapter(act)


def answering(answer: object) -> Adapter:
    return Adapter(lambda: answer)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lines.append, format="{level} {message} {extra}", diagnose=False)
    yield lines
    logger.remove(sink)


async def call(how: str, gateway: Adapter, attempt: Attempt) -> Attempt:
    calls = {"send": gateway_calls.send, "ask": gateway_calls.ask}
    return await calls[how](gateway, "m-1", attempt, 1.0)


@pytest.mark.parametrize("attempt", [CHARGE, VOID], ids=["charge", "void"])
@pytest.mark.parametrize("how", ["send", "ask"])
@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
async def test_any_other_error_is_unknown_and_logged_without_card_data(
    logged: list[str], error: Exception, how: str, attempt: Attempt
) -> None:
    result = await call(how, failing(error), attempt)
    assert (result.state, result.tries) == (AttemptState.UNKNOWN, 1)
    (line,) = logged
    assert line.startswith("ERROR")
    assert type(error).__name__ in line
    assert attempt.key in line
    assert TOKEN not in line


async def test_an_error_of_the_lookup_is_unknown(logged: list[str]) -> None:
    gateway = answering(Answer(GatewayStatus.SUCCEEDED, "ref"))

    async def lookup(key: str) -> Answer | None:
        raise OSError(key)

    gateway.lookup = lookup  # type: ignore[method-assign]
    assert (await call("ask", gateway, CHARGE)).state is AttemptState.UNKNOWN
    assert len(logged) == 1


@pytest.mark.parametrize(
    "answer",
    [None, "SUCCEEDED", {"status": "SUCCEEDED"}, Answer("PROCESSING", "ref"), Answer("", "ref")],  # type: ignore[arg-type]
)
@pytest.mark.parametrize("how", ["send", "ask"])
async def test_what_is_no_answer_proves_nothing(
    logged: list[str], how: str, answer: object
) -> None:
    assert (await call(how, answering(answer), CHARGE)).state is AttemptState.UNKNOWN
    assert len(logged) == 1


async def test_a_status_as_text_is_that_status() -> None:
    captured = Answer("SUCCEEDED", "ref", "", 700, "EUR")  # type: ignore[arg-type]
    assert (await call("send", answering(captured), CHARGE)).state is AttemptState.SUCCEEDED


@pytest.mark.parametrize(
    "told", [(), (699, "EUR"), (701, "EUR"), (700, "JPY"), (700, ""), (0, "EUR"), (-700, "EUR")]
)
@pytest.mark.parametrize("how", ["send", "ask"])
async def test_another_amount_or_currency_is_no_success(
    how: str, told: tuple[int, str] | tuple[()]
) -> None:
    answer = Answer(GatewayStatus.SUCCEEDED, "ref", "", *told)
    result = await call(how, answering(answer), CHARGE)
    assert result.state is AttemptState.DIFFERENT
    assert (result.answered_minor, result.answered_currency) == (told or (0, ""))
    assert result.gateway_reference == "ref"


async def test_an_amount_that_no_column_holds_is_no_answer(logged: list[str]) -> None:
    answer = Answer(GatewayStatus.SUCCEEDED, "ref", "", 2**63, "EUR")
    assert (await call("send", answering(answer), CHARGE)).state is AttemptState.UNKNOWN
    assert len(logged) == 1


async def test_a_void_needs_no_amount() -> None:
    answer = Answer(GatewayStatus.SUCCEEDED, "ref")
    assert (await call("send", answering(answer), VOID)).state is AttemptState.SUCCEEDED


async def test_texts_of_a_gateway_fit_their_columns() -> None:
    long = Answer(GatewayStatus.DECLINED, "r" * 500, "c" * 500 + "\ud800")
    result = await call("send", answering(long), CHARGE)
    assert (result.gateway_reference, result.decline_code) == ("r" * 128, "c" * 64)
    half = Answer(GatewayStatus.SUCCEEDED, "ref-\ud800", "", 700, "EUROS")
    assert (await call("send", answering(half), CHARGE)).gateway_reference == "ref-?"


@pytest.mark.parametrize(
    ("how", "before", "after"),
    [
        ("send", AttemptState.PENDING, AttemptState.FAILED),
        ("ask", AttemptState.FAILED, AttemptState.FAILED),
        ("ask", AttemptState.PENDING, AttemptState.UNKNOWN),
        ("ask", AttemptState.UNKNOWN, AttemptState.UNKNOWN),
    ],
)
async def test_only_a_refused_connection_had_no_effect(
    how: str, before: AttemptState, after: AttemptState
) -> None:
    attempt = msgspec.structs.replace(CHARGE, state=before)
    result = await call(how, failing(errors.GatewayAway("refused")), attempt)
    assert result.state is after


async def test_a_cancelled_call_is_cancelled() -> None:
    begun = asyncio.Event()

    async def charge(request: Charge) -> Answer:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError(request)

    gateway = answering(None)
    gateway.charge = charge  # type: ignore[method-assign]
    both = [call("send", gateway, CHARGE), call("send", gateway, CHARGE)]
    task = asyncio.ensure_future(gateway_calls.all_of(both))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("how", ["send", "ask"])
async def test_a_library_that_cancels_its_own_work_cancels_nothing_else(
    logged: list[str], how: str
) -> None:
    result = await call(how, failing(asyncio.CancelledError("its own")), CHARGE)
    assert result.state is AttemptState.UNKNOWN
    assert "CancelledError" in logged[0]


async def test_every_result_counts_whatever_becomes_of_the_others() -> None:
    captured = answering(Answer(GatewayStatus.SUCCEEDED, "ref", "", 700, "EUR"))
    broken = [failing(error) for error in UNFORESEEN]
    results = await gateway_calls.all_of(
        [call("send", gateway, CHARGE) for gateway in (*broken, captured)]
    )
    assert [it.state for it in results] == [AttemptState.UNKNOWN] * 6 + [AttemptState.SUCCEEDED]


async def test_a_charge_without_a_token_is_declined_and_never_sent() -> None:
    without = msgspec.structs.replace(CHARGE, card_token="")
    answered = await gateway_calls.send(Adapter(fail_the_test), "m-1", without, 1.0)
    assert (answered.state, answered.decline_code) == ("DECLINED", gateway_calls.NO_TOKEN)


async def test_a_charge_that_may_have_been_sent_stays_unknown_without_its_token() -> None:
    """The first request may still arrive, so nothing is certain."""
    without = msgspec.structs.replace(CHARGE, card_token="", state=AttemptState.UNKNOWN)
    answered = await gateway_calls.ask(Adapter(fail_the_test), "m-1", without, 1.0)
    assert answered.state is AttemptState.UNKNOWN


def fail_the_test() -> None:
    pytest.fail("the gateway was called")
