"""The ports of an engine itself, and how a second one on the same machine gets others."""

from internal.infra import settings
from internal.kernel import errors

MOVE = "`--port-offset 100` of scripts/start and scripts/stack up"


def moved(offset: int) -> dict[str, dict[str, int]]:
    """Return the settings of the engine's own ports, each `offset` above its usual one."""
    usual = {"intake": settings.IntakeSettings().port, "metrics": settings.MetricsSettings().port}
    return {group: {"port": port + offset} for group, port in usual.items()}


def taken(setting: str, host: str, port: int) -> errors.Misconfigured:
    """Return the error for a port at which another program listens already."""
    text = f"port {port} of {host} ({setting}) is already in use by another program"
    return errors.Misconfigured(f"{text}; choose another, or move all of Souk's: {MOVE}")
