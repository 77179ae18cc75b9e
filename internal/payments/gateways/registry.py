"""Payment gateways by name: how each one is opened from the settings, and its ledger if it has one.

A new gateway is one file beside this one and one row in GATEWAYS; except for its own settings, no
other module names it.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from internal.infra import settings
from internal.kernel import cards, errors
from internal.payments.gateways import simulator
from internal.payments.gateways.port import Gateway, GatewayLedger


class Entry(NamedTuple):
    """One gateway."""

    open: Callable[[settings.Settings], Gateway]
    ledger: Callable[[settings.Settings], GatewayLedger | None] = lambda _: None
    """Finds the ledger that the gateway keeps on this machine; None when there is none."""
    ledger_file: Callable[[settings.Settings], Path | None] = lambda _: None
    """Where that ledger is, or will be: an SQLite file in the data folder, to be backed up."""


GATEWAYS: Mapping[str, Entry] = {
    "simulator": Entry(simulator.open_gateway, simulator.find_ledger, simulator.ledger_file),
}


def open_gateway(options: settings.Settings) -> Gateway:
    """Open the gateway that the settings name.

    Raises:
        Misconfigured: the name is unknown, or it cannot be opened with these settings.
    """
    name = options.gateway.name
    entry = _entry(name)
    with _explained(errors.Misconfigured, f"the gateway {name} cannot be opened"):
        return entry.open(options)


def find_ledger(options: settings.Settings) -> GatewayLedger | None:
    """Return the gateway's own ledger; None when this machine has none.

    Raises:
        Misconfigured: the name is unknown.
    """
    return _entry(options.gateway.name).ledger(options)


def ledger_file(options: settings.Settings) -> Path | None:
    """Return where the gateway's own ledger is, or will be; None if it keeps none here.

    Raises:
        Misconfigured: the name is unknown.
    """
    return _entry(options.gateway.name).ledger_file(options)


def captured_by_key(
    options: settings.Settings, keys: Collection[str] | None = None
) -> dict[str, int] | None:
    """Return what the gateway's own ledger has captured; None when this machine has no such ledger.

    Of these idempotency keys only, if they are given.

    Raises:
        Misconfigured: the name is unknown.
        GatewayAway: the ledger cannot be read.
    """
    ledger = find_ledger(options)
    what = f"the ledger of the gateway {options.gateway.name} cannot be read"
    with _explained(errors.GatewayAway, what):
        return None if ledger is None else ledger.captured_by_key(keys)


@contextlib.contextmanager
def _explained(kind: type[errors.SoukError], what: str) -> Iterator[None]:
    """Raise an error of this kind for any that an adapter has of its own."""
    try:
        yield
    except errors.SoukError:
        raise
    except Exception as error:
        text = cards.redact(f"{what}: {type(error).__name__}: {error}")
        raise kind(text) from error


def _entry(name: str) -> Entry:
    if name not in GATEWAYS:
        known = ", ".join(GATEWAYS)
        raise errors.Misconfigured(f"SOUK_GATEWAY__NAME: unknown gateway {name!r}; known: {known}")
    return GATEWAYS[name]
