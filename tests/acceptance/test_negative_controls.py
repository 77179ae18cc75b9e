"""Engines that are broken on purpose must fail the audit that the real one passes.

What is wrong with each stands in its own start script; production has no switch for it. Undisturbed
they must pass, so that it is the fault and nothing else that the audit finds.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from internal.lab.chaos import engine_process
from internal.lab.workload.scenarios import Kind
from tests.acceptance import runs

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
UNCLAIMED, UNREPEATED = HERE / "unclaimed.py", HERE / "unrepeated.py"
UNGUARDED = HERE / "unguarded.py"
SEED = 7
ORDERS = 200
RUNS_AT_ONCE = 3
SOON_S = 3.0
"""What has not ended by then is stuck: nobody drives it on."""
NO_JANITOR = {"SOUK_JANITOR__INTERVAL_S": "600"}


def undisturbed(name: str, script: Path) -> runs.Options:
    """Let it do its work, without anything that it is bad at."""
    return runs.Options(
        name, SEED, (), ORDERS, orders_all=True, script=script, mix={Kind.DECLINED: 60}
    )


def killed(name: str, script: Path, failpoint: str, settings: Mapping[str, str]) -> runs.Options:
    """Let it die several times where something is always half done."""
    deaths = tuple(runs.Failpoint(failpoint, passage) for passage in (2, 3, 5))
    return runs.Options(
        name,
        SEED,
        deaths,
        10 * ORDERS,
        script=script,
        settings=settings,
        quiet_within_s=SOON_S,
    )


RUNS = (
    undisturbed("unclaimed-undisturbed", UNCLAIMED),
    undisturbed("unrepeated-undisturbed", UNREPEATED),
    undisturbed("unguarded-undisturbed", UNGUARDED),
    killed("unclaimed", UNCLAIMED, "gateway.after_send", {}),
    killed("unrepeated", UNREPEATED, "payment_processing.after_commit", NO_JANITOR),
    runs.Options(
        "unguarded",
        SEED,
        (),
        ORDERS,
        orders_all=True,
        mix={Kind.SCARCE: 300},
        script=UNGUARDED,
        quiet_within_s=SOON_S,
    ),
)


@pytest.fixture(scope="module")
def stories(shop_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> runs.Stories:
    folder = tmp_path_factory.mktemp("controls")
    return asyncio.run(runs.run_all(shop_folder, folder, RUNS, RUNS_AT_ONCE))


@pytest.mark.parametrize("script", [UNCLAIMED, UNREPEATED, UNGUARDED], ids=lambda path: path.stem)
def test_broken_engine_passes_as_long_as_nothing_happens(
    story_of: runs.StoryOf, script: Path
) -> None:
    story = story_of(f"{script.stem}-undisturbed")
    assert not story.findings
    assert len(story.log.placed) == ORDERS


def test_without_a_memory_of_attempts_cards_are_charged_twice(story_of: runs.StoryOf) -> None:
    story = story_of("unclaimed")
    assert set(story.exits) == {engine_process.KILLED}
    assert "the gateway captured a tender once at most" in story.sentences("I3")


def test_without_repeating_facts_orders_never_end(story_of: runs.StoryOf) -> None:
    story = story_of("unrepeated")
    assert set(story.exits) == {engine_process.KILLED}
    assert "an order that was answered OK comes to its end" in story.sentences("I1")
    assert "state=PAID" in story.told()
    assert not story.sentences("I3")


def test_without_the_guard_stock_is_promised_that_is_not_there(story_of: runs.StoryOf) -> None:
    """The tables themselves refuse to sell it: the orders are stuck, and a letter tells why."""
    story = story_of("unguarded")
    assert "an order that was answered OK comes to its end" in story.sentences("I1")
    assert "a good order is never put aside" in story.sentences("I7")
    assert "stock_on_hand_not_negative" in story.told()
