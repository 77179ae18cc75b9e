"""The scenes of the demo, and the commands that it prints for them, beside a running engine."""

import asyncio
import contextlib
import os
import shlex
from pathlib import Path

import msgspec
import pytest

from internal.client import access, client
from internal.infra.data_folder import files
from internal.lab.demo import scene_run, scene_values, scenes
from tests.integration import test_cli
from tests.integration.test_cli import Souk

data, bare, souk = test_cli.data, test_cli.bare, test_cli.souk
"""The fixtures of the engine, of the command alone, and of the command on the engine's data."""


def play(data: Path, scene: scenes.Scene, order_id: str) -> scene_run.Played:
    """Play a scene against the engine."""

    async def run() -> scene_run.Played:
        key = (data / files.DEMO_KEY).read_text()
        there = access.Access(os.environ["SOUK_TARGET"], key)
        async with contextlib.aclosing(client.Client(there)) as connection:
            return await scene_run.play(connection, scene, order_id)

    return asyncio.run(run())


def named(name: str) -> scenes.Scene:
    """Return a scene."""
    return next(scene for scene in scenes.SCENES if scene.name == name)


def values_of(data: Path, name: str) -> scene_values.Values:
    """Play a scene; return what came out, which must be right."""
    played = play(data, named(name), f"played-{name}")
    assert not played.wrong
    assert played.receipt_number > 0
    assert played.values
    return played.values


def test_scenes_come_out_as_public_cases_say(data: Path) -> None:
    seen = {scene.name: values_of(data, scene.name) for scene in scenes.SCENES}
    assert [line.gross_minor for line in seen["weights"].lines] == [1138, 501]
    assert [tax.tax_minor for tax in seen["two_taxes"].taxes] == [192, 269]
    assert seen["two_taxes"].total_minor == 4309
    assert [it.change_minor for it in seen["change"].tenders] == [1102]
    [coins] = seen["cash_rounding"].tenders
    assert (coins.amount_minor, coins.rounding_minor, coins.captured_minor) == (166, -1, 165)
    assert [it.captured_minor for it in seen["card_and_cash"].tenders] == [100, 65]
    assert [it.left_to_pay_minor for it in seen["paid_later"].steps] == [898, 298, 0]
    card, cash = seen["declined_then_cash"].tenders
    assert (card.state, card.captured_minor) == ("DECLINED", 0)
    assert (cash.state, cash.captured_minor) == ("FULL", 948)


def test_scene_that_comes_out_otherwise_is_told(data: Path) -> None:
    scene = named("change")
    right = msgspec.structs.replace(scene.right, total_minor=899)
    played = play(data, msgspec.structs.replace(scene, right=right), "otherwise-1")
    assert played.wrong == ["total_minor is 898, and must be 899"]
    refused = play(data, msgspec.structs.replace(scene, store_id="paris"), "otherwise-2")
    assert refused.values is None
    assert "UNKNOWN_STORE" in refused.wrong[0]


@pytest.mark.parametrize("scene", scenes.SCENES, ids=lambda it: it.name)
def test_commands_that_are_printed_do_the_same(scene: scenes.Scene, souk: Souk) -> None:
    order_id = ""
    for command in scene.commands(f"typed-{scene.name}"):
        words = shlex.split(command.replace("\\\n", ""))
        said = souk(*words[1:], "--json")
        is_declined = "tok_declined" in command
        assert said.code == is_declined, said.err
        order_id = order_id or said.json["order_id"]
    assert souk("orders", "watch", order_id).code == 0
    order = souk("orders", "get", order_id, "--json").json
    expected = [
        (it.state, it.captured_minor, it.given_minor, it.change_minor, it.rounding_minor)
        for it in scene.right.tenders
    ]
    names = ("captured", "given", "change", "rounding")
    assert [
        (it["state"].removeprefix("CHARGE_STATE_"), *(minor_of(it.get(name)) for name in names))
        for it in order["tenders"]
    ] == expected


def minor_of(amount: dict[str, str | int] | None) -> int:
    """Return the cents of an amount in JSON; 0 if there is none."""
    return int(amount["units"]) * 100 + int(amount["nanos"]) // 10_000_000 if amount else 0
