"""The engine's database is read directly: its shop, and whether every invariant holds."""

import sqlite3
from pathlib import Path

import pytest

from internal.infra import clock, migrate, settings
from internal.infra.data_folder import files
from internal.infra.sqlite import database as sqlite
from internal.kernel import errors, ids
from internal.lab.workload import verification
from internal.payments.gateways import registry
from internal.seeds import demo_shop


@pytest.fixture
async def key(tmp_path: Path) -> str:
    """Make the demo shop's data folder; return its API key."""
    await registry.open_gateway(settings.of_folder(tmp_path)).close()
    database = sqlite.SqliteDatabase(tmp_path / files.DATABASE)
    await database.write(migrate.upgrade)
    now_us = clock.SystemClock().now_us()
    made = await database.write(lambda c: demo_shop.seed(c, now_us, ids.random_token))
    await database.close()
    assert made
    return made


async def test_shop_is_the_merchants_with_scarce_and_inactive_products(
    key: str, tmp_path: Path
) -> None:
    sells = await verification.Records(settings.of_folder(tmp_path), key).shop()
    assert sells.currency == demo_shop.CURRENCY
    assert sells.store_ids == ("berlin", "lisbon")
    assert {item.sku for item in sells.scarce} == demo_shop.SCARCE_SKUS
    assert [item.sku for item in sells.inactive] == [demo_shop.INACTIVE_SKU]
    assert len(sells.items) == 200


async def test_sound_database_passes_and_is_summed_up(key: str, tmp_path: Path) -> None:
    checked = await verification.Records(settings.of_folder(tmp_path), key).check([])
    assert checked.is_ok
    assert checked.ledger == {}
    assert checked.on_hand > demo_shop.PLENTY_UNITS


async def test_unsound_database_does_not_pass(key: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / files.DATABASE) as connection:
        connection.execute(
            "UPDATE stock SET on_hand_milli = on_hand_milli + 1 WHERE location_id = 'berlin'"
        )
    connection.close()
    checked = await verification.Records(settings.of_folder(tmp_path), key).check([])
    assert not checked.is_ok
    assert checked.broken("I5") == 1
    assert checked.texts()[0].startswith("I5: ")


async def test_lost_order_is_found(key: str, tmp_path: Path) -> None:
    checked = await verification.Records(settings.of_folder(tmp_path), key).check(
        ["answered-ok-but-gone"]
    )
    assert checked.broken("I1") == 1
    assert "answered-ok-but-gone" in " ".join(checked.texts())


async def test_strangers_key_and_an_empty_folder_are_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(errors.Misconfigured, match="not one of those"):
        await verification.Records(settings.of_folder(tmp_path), key[:-1] + "x").shop()
    with pytest.raises(errors.Misconfigured, match="there is no database"):
        await verification.Records(settings.of_folder(tmp_path / "elsewhere"), key).shop()
