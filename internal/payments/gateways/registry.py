"""Payment gateways by name: how each one is opened from the settings, and its ledger if it has one.

A new gateway is one file beside this one and one row in GATEWAYS; except for its own settings, no
other module names it.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from internal.infra import settings
from internal.kernel import errors
from internal.payments.gateways import simulator
from internal.payments.gateways.port import Gateway, GatewayLedger


class Entry(NamedTuple):
    """One gateway."""

    open: Callable[[settings.Settings], Gateway]
    ledger: Callable[[settings.Settings], GatewayLedger | None] = lambda _: None
    """Finds the ledger that the gateway keeps on this machine; None when there is none."""


DEFAULT = "simulator"
"""The gateway of every order."""
GATEWAYS: Mapping[str, Entry] = {
    "simulator": Entry(simulator.open_gateway, simulator.find_ledger),
}


def open_gateway(options: settings.Settings, name: str = DEFAULT) -> Gateway:
    """Open a gateway.

    Raises:
        Misconfigured: the name is unknown.
    """
    return _entry(name).open(options)


def find_ledger(options: settings.Settings, name: str = DEFAULT) -> GatewayLedger | None:
    """Return a gateway's own ledger; None when this machine has none.

    Raises:
        Misconfigured: the name is unknown.
    """
    return _entry(name).ledger(options)


def captured_by_key(options: settings.Settings, name: str = DEFAULT) -> dict[str, int] | None:
    """Return what a gateway's own ledger has captured; None when this machine has no such ledger.

    Raises:
        Misconfigured: the name is unknown.
    """
    ledger = find_ledger(options, name)
    return None if ledger is None else ledger.captured_by_key()


def _entry(name: str) -> Entry:
    if name not in GATEWAYS:
        known = ", ".join(GATEWAYS)
        raise errors.Misconfigured(f"unknown payment gateway {name!r}; known: {known}")
    return GATEWAYS[name]
