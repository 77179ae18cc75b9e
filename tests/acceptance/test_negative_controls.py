"""Engines that are broken on purpose must fail the audit that the real one passes.

The broken code is in start scripts of their own; production has no switch for it. Without a fault
they must pass, so that the audit finds the effect of the fault and nothing else.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from internal.checks import stock
from internal.lab import engine_process
from internal.lab.chaos import negative_controls
from internal.lab.workload.scenarios import Kind
from tests.acceptance import runs

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
FORGETS_ATTEMPTS = HERE / "broken_forgets_attempts.py"
NEVER_REPEATS = HERE / "broken_never_repeats.py"
BOOKS_TWICE = HERE / "broken_books_twice.py"
OVERSELLS = HERE / "broken_oversells.py"
SEED = 7
ORDERS = 200
RUNS_AT_ONCE = 3
SOON_S = 3.0
"""An order that has not ended by then is stuck: no part of the engine resumes it."""
SENT = (10, 20, 30)
"""So many calls have been made when an engine dies: some of them have just taken money."""
NO_JANITOR = {"SOUK_JANITOR__INTERVAL_S": "600"}


def undisturbed(name: str, script: Path) -> runs.Options:
    """Return a run without a fault that exposes the broken code."""
    return runs.Options(
        name, SEED, (), ORDERS, orders_all=True, script=script, mix={Kind.DECLINED: 60}
    )


def killed(
    name: str,
    script: Path,
    failpoint: str,
    settings: Mapping[str, str],
    passages: tuple[int, ...] = (2, 3, 5),
) -> runs.Options:
    """Return a run whose engines die at a failpoint where work is always half done."""
    endings = tuple(runs.Failpoint(failpoint, passage) for passage in passages)
    return runs.Options(
        name,
        SEED,
        endings,
        10 * ORDERS,
        script=script,
        settings=settings,
        quiet_within_s=SOON_S,
    )


RUNS = (
    undisturbed("forgets-attempts-undisturbed", FORGETS_ATTEMPTS),
    undisturbed("never-repeats-undisturbed", NEVER_REPEATS),
    undisturbed("oversells-undisturbed", OVERSELLS),
    undisturbed("books-twice-undisturbed", BOOKS_TWICE),
    killed("forgets-attempts", FORGETS_ATTEMPTS, "gateway.after_send", {}, SENT),
    killed("books-twice", BOOKS_TWICE, "finalization.before_ack", {}),
    killed("never-repeats", NEVER_REPEATS, "payment_processing.after_commit", NO_JANITOR),
    runs.Options(
        "oversells",
        SEED,
        (),
        ORDERS,
        orders_all=True,
        mix={Kind.SCARCE: 300},
        script=OVERSELLS,
        quiet_within_s=SOON_S,
    ),
)


@pytest.fixture(scope="module")
def results(shop_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> runs.RunResults:
    folder = tmp_path_factory.mktemp("controls")
    return asyncio.run(runs.run_all(shop_folder, folder, RUNS, RUNS_AT_ONCE))


@pytest.mark.parametrize("name", ["forgets-attempts", "never-repeats", "oversells", "books-twice"])
def test_broken_engine_passes_without_a_fault(result_of: runs.ResultOf, name: str) -> None:
    result = result_of(f"{name}-undisturbed")
    assert not result.findings
    assert len(result.log.placed) == ORDERS


def test_without_recorded_attempts_cards_are_charged_twice(result_of: runs.ResultOf) -> None:
    result = result_of("forgets-attempts")
    assert set(result.exits) == {engine_process.KILLED}
    assert "the gateway captured a tender once at most" in result.sentences("I3")


def test_without_repeating_facts_orders_never_end(result_of: runs.ResultOf) -> None:
    result = result_of("never-repeats")
    assert set(result.exits) == {engine_process.KILLED}
    assert "an order that was answered OK comes to its end" in result.sentences("I1")
    assert "state=PAID" in result.told()
    assert not result.sentences("I3")


def test_without_the_claim_a_sale_is_booked_twice(result_of: runs.ResultOf) -> None:
    """Each booking balances, so only the rule about the order's sale finds the second one."""
    result = result_of("books-twice")
    assert set(result.exits) == {engine_process.KILLED}
    assert negative_controls.BOOKED_ONCE in result.sentences("I3")
    assert not result.sentences("I4")


def test_without_the_guard_missing_stock_is_reserved(result_of: runs.ResultOf) -> None:
    """The sale of goods that nobody counted away leaves negative stock without an exception."""
    result = result_of("oversells")
    assert stock.BELOW_RESERVED.sentence in result.sentences("I5")
