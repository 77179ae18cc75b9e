"""Plans how to deploy a function: compares the wanted configuration with the deployed one. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from internal.deploy import function_configs

PACKAGE = "package"
"""Key in a function's userConfig: its wheel's digest. Not secret: it is on its command line."""
FIXED = ("runtime", "processingGuarantees", "autoAck", "retainKeyOrdering", "subName", "userConfig")
"""Fields that the functions worker refuses to change; the input topics are fixed, too.

userConfig is among them because an update ignores a new package, although it reports success: with
Pulsar's package service, as in every standalone, it keeps the old package (4.0.8,
ComponentImpl.getPackageFile). So a new package, which userConfig names, needs a new function.
"""
UNWANTED = ("output", "logTopic")
"""Fields that an update cannot remove."""


class Action(StrEnum):
    """The action for a function."""

    CREATE = "created"
    UPDATE = "updated"
    RECREATE = "recreated"
    NOTHING = "unchanged"


class Plan(msgspec.Struct, frozen=True):
    """The action for one function, and the fields that cause it."""

    action: Action
    because: tuple[str, ...] = ()


def with_package(config: function_configs.Config, digest: str) -> function_configs.Config:
    """Return a configuration that names its wheel, so that a new wheel is a change."""
    return {**config, "userConfig": {PACKAGE: digest}}


def plan(wanted: function_configs.Config, deployed: function_configs.Config | None) -> Plan:
    """Compare the wanted configuration with the deployed one (None: not deployed)."""
    if deployed is None:
        return Plan(Action.CREATE)
    fixed = _fixed(wanted, deployed)
    if fixed:
        return Plan(Action.RECREATE, fixed)
    changed = _changed(wanted, deployed)
    return Plan(Action.UPDATE, changed) if changed else Plan(Action.NOTHING)


def _fixed(wanted: Mapping[str, Any], deployed: Mapping[str, Any]) -> tuple[str, ...]:
    names = [name for name in FIXED if wanted.get(name) != deployed.get(name)]
    if set(wanted["inputSpecs"]) != set(deployed.get("inputSpecs") or {}):
        names.append("inputSpecs")
    return (*names, *(name for name in UNWANTED if deployed.get(name)))


def _changed(wanted: Mapping[str, Any], deployed: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in wanted if not _is_as(wanted[name], deployed.get(name)))


def _is_as(wanted: object, deployed: object) -> bool:
    """Tell whether all wanted values are deployed; the worker adds defaults of its own."""
    if isinstance(wanted, dict) and isinstance(deployed, dict):
        return all(_is_as(value, deployed.get(name)) for name, value in wanted.items())
    return wanted == deployed
