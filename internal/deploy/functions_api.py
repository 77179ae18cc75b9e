"""The broker's admin API for functions: read, create, change and delete them, list consumers."""

import contextlib
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec
import tenacity

from internal.deploy import function_configs, wheel
from internal.infra import settings
from internal.infra.pulsar_bus import admin
from internal.kernel import errors
from internal.pipeline import handler

STALE = "metadata already exists"
"""The package of a deleted function prevents the creation of a new one with that name."""
NOT_STOPPED = "Operation not permitted"
"""The answer to starting a function that was not stopped."""
NOT_READY = re.compile(rf"\b503\b|retry again|not done initializing|{STALE}")
"""The errors of a functions worker that has just started but already answers requests.

It may have stored the package before the error; deleting the package takes effect after a moment.
"""
READY_S, LOOK_EVERY_S = 240.0, 0.5
"""How long a functions worker may go on starting: as long as a broker (stack/broker.py)."""
T = TypeVar("T")

Consumer = tuple[str, str]
"""A connected consumer: its name and when it connected; unique in a subscription."""


class FunctionsApi:
    """The functions of one namespace."""

    def __init__(self, api: admin.PulsarAdmin, options: settings.PulsarSettings) -> None:
        self._api = api
        namespace = f"{quote(options.tenant)}/{quote(options.namespace)}"
        self._path = f"/admin/v3/functions/{namespace}"
        self._packages = f"/admin/v3/packages/function/{namespace}"

    async def config(self, name: str) -> function_configs.Config | None:
        """Return a deployed function's configuration; None if the function does not exist."""
        found: function_configs.Config | None = await self._api.get(f"{self._path}/{quote(name)}")
        return found

    async def status(self, name: str) -> dict[str, Any]:
        """Return the status of its instances; empty if it cannot be read."""
        try:
            return await self._api.function_status(name) or {}
        except (errors.BusAway, errors.Misconfigured):
            return {}

    async def create(self, config: function_configs.Config, package: wheel.Wheel) -> None:
        """Create a function.

        Raises:
            BusAway: the broker or its functions worker cannot be reached.
            Misconfigured: the broker refuses it.
        """

        async def create() -> None:
            try:
                await self._send("POST", config, package)
            except errors.BusAway as error:
                if STALE in str(error):
                    await self._forget_packages(config["name"])
                raise

        await _retried(create)

    async def update(self, config: function_configs.Config) -> None:
        """Change a function; its package stays. Raises as `create`."""
        await _retried(lambda: self._send("PUT", config, None))

    async def delete(self, name: str) -> None:
        """Delete a function. Its subscription is kept only if its cleanupSubscription is false."""
        await _retried(lambda: self._api.delete(f"{self._path}/{quote(name)}"))
        await self._forget_packages(name)

    async def start(self, name: str) -> bool:
        """Start a function's stopped instances; tell whether any was stopped.

        Raises as `create`.
        """
        try:
            await _retried(lambda: self._api.post(f"{self._path}/{quote(name)}/start"))
        except errors.Misconfigured as error:
            if NOT_STOPPED not in str(error):
                raise
            return False
        return True

    async def restart(self, name: str) -> None:
        """Stop a function's instances and start them again. Raises as `create`."""
        await _retried(lambda: self._api.post(f"{self._path}/{quote(name)}/restart"))

    async def consumers(self, stage: handler.Stage) -> set[Consumer]:
        """Return the consumers of a stage's first topic; every instance has one there.

        Empty if the subscription does not exist.
        """
        stats = await self._api.topic_stats(stage.topics[0]) or {}
        read = stats.get("subscriptions", {}).get(stage.subscription, {})
        connected = read.get("consumers", [])
        return {(c["consumerName"], c.get("connectedSince", "")) for c in connected}

    async def backlog(self, stage: handler.Stage) -> int:
        """Count the messages that wait for a stage.

        Raises:
            Misconfigured: a subscription does not exist.
        """
        name = stage.subscription
        stats = [await self._api.subscription_stats(topic, name) for topic in stage.topics]
        return sum(int(each["msgBacklog"]) for each in stats)

    async def _forget_packages(self, name: str) -> None:
        """Delete the packages of a deleted function, which the functions worker leaves behind.

        Errors are ignored: a broker without a package service has no packages, and a package that
        is listed twice cannot be deleted twice.
        """
        if await self.config(name) is not None:
            return
        where = f"{self._packages}/{quote(name)}"
        with contextlib.suppress(errors.BusAway, errors.Misconfigured):
            for version in await self._api.get(where) or []:
                with contextlib.suppress(errors.BusAway, errors.Misconfigured):
                    await self._api.delete(f"{where}/{quote(version)}")

    async def _send(
        self, method: str, config: function_configs.Config, package: wheel.Wheel | None
    ) -> None:
        path = f"{self._path}/{quote(config['name'])}"
        body = msgspec.json.encode(config)
        parts: dict[str, Any] = {"functionConfig": (None, body, "application/json")}
        if package is not None:
            parts["data"] = (package.name, package.content, "application/octet-stream")
        answer = await self._api.send(method, path, files=parts)
        if answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.CONFLICT}:
            raise errors.Misconfigured(f"{method} {path}: {answer.text}")


async def _retried(change: Callable[[], Awaitable[T]]) -> T:
    """Make a change; retry while the functions worker is still starting."""

    async def run() -> T:
        return await change()

    return await tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(_is_starting),
        wait=tenacity.wait_fixed(LOOK_EVERY_S),
        stop=tenacity.stop_after_delay(READY_S),
        reraise=True,
    )(run)


def _is_starting(error: BaseException) -> bool:
    return isinstance(error, errors.BusAway) and NOT_READY.search(str(error)) is not None
