"""The right values of the scenes add up by the rules of an order."""

import pytest

from internal.lab.demo import scenes
from internal.seeds import demo_shop

each = pytest.mark.parametrize("scene", scenes.SCENES, ids=lambda it: it.name)


@each
def test_lines_taxes_and_total_add_up(scene: scenes.Scene) -> None:
    right = scene.right
    assert sum(line.total_minor for line in right.lines) == right.total_minor
    assert sum(line.tax_minor for line in right.lines) == sum(it.tax_minor for it in right.taxes)
    for line in right.lines:
        assert line.total_minor - line.gross_minor in {0, line.tax_minor}


@each
def test_tenders_pay_the_total(scene: scenes.Scene) -> None:
    paid = [it for it in scene.right.tenders if it.state == "FULL"]
    assert sum(it.amount_minor for it in paid) == scene.right.total_minor
    for it in paid:
        assert it.captured_minor == it.amount_minor + it.rounding_minor
        assert it.given_minor - it.change_minor == it.captured_minor * (it.kind == "CASH")


@each
def test_order_is_one_that_the_demo_shop_sells(scene: scenes.Scene) -> None:
    draft = scene.draft("o-1")
    products = {it.sku: it for it in demo_shop.products()}
    [store] = [it for it in demo_shop.STORES if it.store_id == draft.store_id]
    assert draft.currency == store.currency
    assert [products[it.sku].name for it in draft.lines] == [it.name for it in scene.right.lines]
    assert {products[it.sku].currency for it in draft.lines} == {store.currency}
    assert len(list(scene.commands("o-1"))) == len(scene.right.steps)
    assert len(draft.tenders) + len(list(scene.later_tenders())) == len(scene.right.tenders)


def test_scenes_show_what_orders_can_do() -> None:
    rights = [scene.right for scene in scenes.SCENES]
    assert any(line.quantity_milli % 1_000 for it in rights for line in it.lines)
    assert any(len(it.taxes) > 1 and len(it.lines) == 1 for it in rights)
    tenders = [tender for it in rights for tender in it.tenders]
    assert any(it.change_minor for it in tenders)
    assert any(it.rounding_minor for it in tenders)
    assert any(it.state == "DECLINED" for it in tenders)
    assert any(scene.keep_open and not scene.pay for scene in scenes.SCENES)


def test_command_that_is_long_takes_two_lines() -> None:
    by_name = {scene.name: list(scene.commands("o-1")) for scene in scenes.SCENES}
    assert by_name["change"] == [
        "souk orders submit --store berlin --line COFFEE-250=2 --pay cash:20 --wait"
    ]
    assert by_name["weights"] == [
        "souk orders submit --store zurich --currency CHF \\\n"
        "  --line CHEESE-KG=0.35 --line APPLES-KG=1.268 --pay card:tok_ok --wait"
    ]
    assert by_name["paid_later"] == [
        "souk orders submit --store berlin --keep-open --order-id o-1 \\\n"
        "  --line COFFEE-250=2 --wait",
        "souk orders pay o-1 card:tok_ok=6",
        "souk orders pay o-1 cash=6",
    ]
