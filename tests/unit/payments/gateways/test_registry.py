"""Gateways are found by name, opened from the settings, and read through their own ledger."""

from pathlib import Path

import pytest

from internal.infra import settings
from internal.kernel import errors
from internal.payments.gateways import registry, simulator
from tests.contract.gateway_contract import charge


@pytest.fixture
def options(tmp_path: Path) -> settings.Settings:
    return settings.of_folder(tmp_path / "data")


async def charge_one(options: settings.Settings, key: str) -> None:
    gateway = registry.open_gateway(options)
    await gateway.charge(charge("tok_ok", key=key))
    await gateway.close()


def test_the_default_gateway_is_registered(options: settings.Settings) -> None:
    assert options.gateway.name in registry.GATEWAYS


@pytest.mark.parametrize("find", [registry.open_gateway, registry.captured_by_key])
def test_an_unknown_gateway_is_refused_with_the_known_names(
    find: object, options: settings.Settings
) -> None:
    assert callable(find)
    gateway = options.gateway.model_copy(update={"name": "sim"})
    what = "SOUK_GATEWAY__NAME: unknown gateway 'sim'; known: simulator"
    with pytest.raises(errors.Misconfigured, match=what):
        find(options.model_copy(update={"gateway": gateway}))


async def test_the_ledger_of_a_gateway_exists_once_it_was_opened(
    options: settings.Settings,
) -> None:
    assert registry.find_ledger(options) is None
    assert registry.captured_by_key(options) is None
    await charge_one(options, "m-1/o-1/1")
    assert registry.captured_by_key(options) == {"m-1/o-1/1": 700}


async def test_a_ledger_is_copied_and_cleared(options: settings.Settings) -> None:
    await charge_one(options, "m-1/o-1/1")
    ledger = registry.find_ledger(options)
    assert ledger is not None
    ledger.add_copies(ledger.requests(), ".1")
    assert ledger.captured_by_key() == {"m-1/o-1/1": 700, "m-1/o-1/1.1": 700}
    ledger.clear()
    assert registry.find_ledger(options) is None


def test_a_gateway_that_cannot_be_opened_says_why_in_one_line(options: settings.Settings) -> None:
    (options.storage.data_dir / simulator.FILE).mkdir(parents=True)
    with pytest.raises(
        errors.Misconfigured, match=r"gateway simulator cannot be opened: \w+Error: "
    ):
        registry.open_gateway(options)


def test_a_damaged_ledger_is_told_as_one(options: settings.Settings) -> None:
    ledger = options.storage.data_dir / simulator.FILE
    ledger.parent.mkdir()
    ledger.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(errors.DatabaseDamaged, match=str(ledger)):
        registry.open_gateway(options)
    with pytest.raises(errors.DatabaseDamaged, match=str(ledger)):
        registry.captured_by_key(options)
