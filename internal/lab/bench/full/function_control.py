"""Stops and starts the functions of a full engine, as an operator does.

It uses the admin API's stop and start; waiting messages stay on the topics.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from internal.deploy import functions_api
from internal.flow import topics
from internal.infra import settings
from internal.infra.pulsar_bus import admin
from internal.kernel import errors

ALL = tuple(stage.name for stage in topics.STAGES)
CHANGE_S = 90.0
"""How long instances may take to start or to stop."""
LOOK_EVERY_S = 0.1


class FunctionControl:
    """The functions of one engine."""

    def __init__(self, api: admin.PulsarAdmin, options: settings.PulsarSettings) -> None:
        self._api, self._functions = api, functions_api.FunctionsApi(api, options)
        self._place = f"/admin/v3/functions/{options.tenant}/{options.namespace}"

    async def stop(self, names: Iterable[str] = ALL) -> None:
        """Stop functions; return once none of their instances runs.

        Raises:
            BusAway: the broker cannot be reached.
            Misconfigured: the function does not exist.
            Temporary: an instance did not stop in time.
        """
        for name in names:
            if (await self._status(name))["numRunning"]:
                await self._api.post(f"{self._place}/{name}/stop")
        for name in names:
            await self._until(name, is_running=False)

    async def open(self, name: str) -> None:
        """Start a function without waiting; this may take seconds. Raises as `stop`."""
        await self._api.post(f"{self._place}/{name}/start")

    async def start(self, names: Iterable[str] = ALL) -> None:
        """Start functions; return once all of their instances run. Raises as `stop`."""
        for name in names:
            await self._functions.start(name)
        await self.until_running(names)

    async def until_running(self, names: Iterable[str] = ALL) -> None:
        """Return once all instances of these functions run. Raises as `stop`."""
        for name in names:
            await self._until(name, is_running=True)

    async def instances(self, name: str) -> int:
        """Return how many instances a function should have.

        Raises:
            Misconfigured: the function does not exist.
        """
        return int((await self._status(name))["numInstances"])

    async def _until(self, name: str, *, is_running: bool) -> None:
        give_up_at_s = time.perf_counter() + CHANGE_S
        while time.perf_counter() < give_up_at_s:
            status = await self._status(name)
            if status["numRunning"] == (status["numInstances"] if is_running else 0):
                return
            await asyncio.sleep(LOOK_EVERY_S)
        what = "did not start" if is_running else "did not stop"
        raise errors.Temporary(f"the function {name} {what} within {CHANGE_S:.0f} s")

    async def _status(self, name: str) -> dict[str, Any]:
        status = await self._api.get(f"{self._place}/{name}/status")
        if not status:
            what = f"the function {name} is not deployed: scripts/deploy_functions does that"
            raise errors.Misconfigured(what)
        return dict(status)
