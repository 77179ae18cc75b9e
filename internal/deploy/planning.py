"""What is to be done so that a function is deployed as wanted: a comparison, without I/O."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from internal.deploy import function_configs

PACKAGE = "package"
"""In a function's userConfig: the digest of its wheel. No secret: it is on its command line."""
FIXED = ("runtime", "processingGuarantees", "autoAck", "retainKeyOrdering", "subName", "userConfig")
"""What the functions worker refuses to change; the input topics, too.

And what it does not change though it says so: where it keeps packages in Pulsar's package service,
as every standalone does, an update goes on with the old package and ignores the new one (4.0.8,
ComponentImpl.getPackageFile). So another package, which userConfig tells, is another function.
"""
UNWANTED = ("output", "logTopic")
"""What an update cannot take away again."""


class Action(StrEnum):
    """What happens to a function."""

    CREATE = "created"
    UPDATE = "updated"
    RECREATE = "recreated"
    NOTHING = "unchanged"


class Plan(msgspec.Struct, frozen=True):
    """For one function: what will be done, and because of which fields."""

    action: Action
    because: tuple[str, ...] = ()


def with_package(config: function_configs.Config, digest: str) -> function_configs.Config:
    """Return a configuration that names its wheel, so that another wheel is a change."""
    return {**config, "userConfig": {PACKAGE: digest}}


def plan(wanted: function_configs.Config, deployed: function_configs.Config | None) -> Plan:
    """Compare what is wanted with what is deployed (None: nothing)."""
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
    """Tell whether all that is wanted is there; the worker adds defaults of its own."""
    if isinstance(wanted, dict) and isinstance(deployed, dict):
        return all(_is_as(value, deployed.get(name)) for name, value in wanted.items())
    return wanted == deployed
