"""Pulsar's admin REST API, as far as Souk needs it: topics, backlogs, functions.

Every request may be repeated: creating something that exists, or deleting something that is gone,
is not an error.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import msgspec

from internal.infra import settings
from internal.infra.pulsar_bus import driver, partitions
from internal.kernel import errors

EARLIEST = {"ledgerId": -1, "entryId": -1}
TEXT_MAX = 500

NAMESPACE_POLICIES: Mapping[str, Any] = {
    # Acknowledged messages are not kept: the database is the record, and topics hold customers'
    # orders.
    "retention_policies": {"retentionTimeInMinutes": 0, "retentionSizeInMB": 0},
    # With any defaults of the broker, a stage that is stopped for a week must find everything
    # again. So neither messages nor subscriptions expire, ...
    "message_ttl_in_seconds": 0,
    "subscription_expiration_time_minutes": 0,
    # ... and a backlog is never evicted. If an operator sets a limit here, the API server
    # reports it at once: with the broker's default policy its calls would hang.
    "backlog_quota_map": {
        "destination_storage": {"limitSize": -1, "limitTime": -1, "policy": "producer_exception"}
    },
    # The broker only detects duplicates of one live producer, at a price per message; Souk's stages
    # detect all duplicates by what the database has recorded.
    "deduplicationEnabled": False,
    # Topics with live readers only have no durable subscription and should stay visible.
    "inactive_topic_policies": {
        "inactiveTopicDeleteMode": "delete_when_no_subscriptions",
        "maxInactiveDurationSeconds": 60,
        "deleteWhileInactive": False,
    },
}


class PulsarAdmin:
    """A client of the admin API, for one tenant and namespace. Close it."""

    def __init__(self, options: settings.PulsarSettings) -> None:
        self._options = options
        self._client = httpx.AsyncClient(
            base_url=options.admin_url,
            timeout=options.operation_timeout_s,
            follow_redirects=True,
            # Proxies in the environment are meant for the internet.
            trust_env=False,
            verify=_tls(options),
        )

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, path: str, **parameters: str | float | bool) -> Any:  # noqa: ANN401 - JSON
        """Get JSON; None if it does not exist. `path` begins with /admin/.

        Raises:
            BusAway: the broker cannot be reached, or cannot answer now.
            Misconfigured: it rejects this client or the request.
        """
        answer = await self.send("GET", path, params=parameters)
        return None if answer.status_code == httpx.codes.NOT_FOUND else _body(answer)

    async def put(self, path: str, body: object = None) -> bool:
        """Create; tell whether it did not exist before. Raises what `get` raises."""
        answer = await self.send("PUT", path, json=body)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise errors.Misconfigured(f"PUT {path}: {_text(answer)}")
        return answer.status_code != httpx.codes.CONFLICT

    async def post(self, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Post; return the answer. Raises what `get` raises."""
        answer = await self.send("POST", path, json=body)
        if answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
            raise errors.Misconfigured(f"POST {path}: {_text(answer)}")
        return _body(answer)

    async def delete(self, path: str, **parameters: str | float | bool) -> bool:
        """Delete; tell whether it existed. Raises what `get` raises."""
        answer = await self.send("DELETE", path, params=parameters)
        return answer.status_code != httpx.codes.NOT_FOUND

    async def send(self, method: str, path: str, **what: Any) -> httpx.Response:  # noqa: ANN401
        """Send any request (`what` goes to httpx); 404 and 409 are left to the caller.

        Raises:
            BusAway: the broker cannot be reached, or cannot answer now.
            Misconfigured: it rejects this client or the request.
        """
        request = self._client.build_request(method, path, headers=self._headers(), **what)
        try:
            answer = await self._client.send(request)
        except httpx.HTTPError as error:
            where = self._options.admin_url
            why = f"{type(error).__name__}: {error}"
            if isinstance(error, httpx.ConnectError):
                why = await asyncio.to_thread(driver.why_away, where) or why
            text = f"SOUK_PULSAR__ADMIN_URL names {where}: {method} {path}: {why}"
            raise errors.BusAway(text) from error
        _require_success(answer)
        return answer

    async def ensure_namespace(self, number: int) -> None:
        """Create the tenant and the namespace if they are missing; existing ones are kept.

        A topic that a client makes by using it has this number of partitions.
        """
        tenant, namespace = quote(self._options.tenant), quote(self._options.namespace)
        if await self.get(f"/admin/v2/tenants/{tenant}") is None:
            clusters = await self.get("/admin/v2/clusters")
            body = {"allowedClusters": clusters, "adminRoles": []}
            await self.put(f"/admin/v2/tenants/{tenant}", body)
        if await self.get(f"/admin/v2/namespaces/{tenant}/{namespace}") is None:
            created = {"allowAutoTopicCreation": True, "topicType": "partitioned"}
            automatic = {"autoTopicCreationOverride": created | {"defaultNumPartitions": number}}
            await self.put(
                f"/admin/v2/namespaces/{tenant}/{namespace}", {**NAMESPACE_POLICIES, **automatic}
            )

    async def ensure(self, subscriptions: Mapping[str, Sequence[str]], number: int) -> None:
        """Create what {topic: [durable subscription, …]} lacks, from the oldest message on.

        `number` is how many partitions each topic has.

        Raises:
            BusAway: the broker cannot be reached.
            Misconfigured: the namespace does not exist, this client lacks the permission, or a
                topic has another number of partitions.
        """
        for topic, names in subscriptions.items():
            if not await self.put(f"{self._path(topic)}/partitions", number):
                await self._require_partitions(topic, number)
            for name in names:
                await self.put(f"{self._path(topic)}/subscription/{quote(name, safe='')}", EARLIEST)

    async def delete_topics(self) -> int:
        """Delete all topics of the namespace, whoever uses them; return how many there were."""
        everything = f"/admin/v2/persistent/{self._place}"
        partitioned = await self.get(f"{everything}/partitioned") or []
        for topic in partitioned:
            await self.delete(f"{_path_of(topic)}/partitions", force=True)
        others = await self.get(everything) or []
        for topic in others:
            await self.delete(_path_of(topic), force=True)
        return len(partitioned) + len(others)

    async def topic_stats(self, topic: str, *, in_full: bool = False) -> dict[str, Any] | None:
        """Return the broker's statistics of all partitions of a topic; None if it does not exist.

        `in_full` adds those of each partition, and the age of each subscription's oldest message,
        which the broker then reads.
        """
        wants = {"getPreciseBacklog": True, "getEarliestTimeInBacklog": in_full}
        stats: dict[str, Any] | None = await self.get(
            f"{self._path(topic)}/partitioned-stats", perPartition=in_full, **wants
        )
        return partitions.with_ages(stats) if stats and in_full else stats

    async def unload(self, topic: str, partition: int) -> None:
        """Close one partition in the broker; its clients open it again.

        Raises:
            BusAway: the broker cannot be reached.
            Misconfigured: it allows this client no such thing.
        """
        await self.send("PUT", f"{self._path(topic)}-partition-{partition}/unload")

    async def waiting(self, topic: str, name: str) -> list[str]:
        """Describe each partition on which messages wait for a subscription, for people."""
        return partitions.described(await self.topic_stats(topic, in_full=True) or {}, name)

    async def subscription_stats(self, topic: str, name: str) -> dict[str, Any]:
        """Return a subscription's statistics: msgBacklog, unackedMessages, consumers and more.

        Raises:
            BusAway: the broker cannot be reached.
            Misconfigured: the subscription does not exist.
        """
        stats = await self.topic_stats(topic) or {}
        try:
            found: dict[str, Any] = stats["subscriptions"][name]
        except KeyError:
            text = f"the topic {topic!r} has no subscription called {name!r}"
            raise errors.Misconfigured(text) from None
        return found

    async def drop_subscription(self, topic: str, name: str) -> bool:
        """Delete a subscription with its backlog, also while it is read; tell whether it existed.

        Raises:
            BusAway: the broker cannot be reached.
        """
        path = f"{self._path(topic)}/subscription/{quote(name, safe='')}"
        return await self.delete(path, force=True)

    async def list_functions(self) -> list[str]:
        """Return the names of the functions in this namespace."""
        return await self.get(self._functions()) or []

    async def function_status(self, name: str) -> dict[str, Any] | None:
        """Return the status of a function's instances; None if it does not exist."""
        status: dict[str, Any] | None = await self.get(f"{self._functions()}/{quote(name)}/status")
        return status

    async def _require_partitions(self, topic: str, number: int) -> None:
        told = await self.get(f"{self._path(topic)}/partitions") or {}
        found = told.get("partitions", 0)
        if found != number:
            has = f"has {found} partitions" if found else "is not partitioned"
            raise errors.Misconfigured(
                f"the topic {topic} {has}, and SOUK_TOPICS__PARTITIONS is {number}: messages of"
                " one order would lie on two partitions, and overtake each other; set it back"
            )

    def _path(self, topic: str) -> str:
        return f"/admin/v2/persistent/{self._place}/{quote(topic, safe='')}"

    def _functions(self) -> str:
        return f"/admin/v3/functions/{self._place}"

    @property
    def _place(self) -> str:
        return f"{quote(self._options.tenant)}/{quote(self._options.namespace)}"

    def _headers(self) -> dict[str, str]:
        """Read the token each time: it can be replaced without a restart."""
        if self._options.token_file is None:
            return {}
        try:
            token = self._options.token_file.read_text().strip()
        except OSError as error:
            raise errors.Misconfigured(f"SOUK_PULSAR__TOKEN_FILE: {error}") from error
        return {"Authorization": f"Bearer {token}"}


def _path_of(full_name: str) -> str:
    """Return the path of a topic, of which the broker told the full name."""
    return "/admin/v2/" + full_name.replace("://", "/")


def _tls(options: settings.PulsarSettings) -> ssl.SSLContext | bool:
    if not options.admin_url.startswith("https:"):
        return False  # loading the system's certificates takes 25 ms
    try:
        return ssl.create_default_context(cafile=options.tls_ca_file)
    except OSError as error:
        raise errors.Misconfigured(f"SOUK_PULSAR__TLS_CA_FILE: {error}") from error


def _require_success(answer: httpx.Response) -> None:
    if answer.is_success or answer.status_code in (httpx.codes.NOT_FOUND, httpx.codes.CONFLICT):
        return
    what = f"{answer.request.method} {answer.request.url.path}: {answer.status_code}"
    text = f"{what}: {_text(answer)}"
    if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise errors.BusAway(text)
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise errors.Misconfigured(
            f"the broker refuses this client (SOUK_PULSAR__TOKEN_FILE); {text}"
        )
    raise errors.Misconfigured(text)


def _body(answer: httpx.Response) -> Any:  # noqa: ANN401 - JSON
    if not answer.content:
        return None
    try:
        return msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        return answer.text


def _text(answer: httpx.Response) -> str:
    """Return the reason; the web server's own pages say no more than their status does."""
    body = _body(answer)
    reason = body.get("reason") if isinstance(body, dict) else body
    is_page = "html" in answer.headers.get("Content-Type", "")
    return str(answer.reason_phrase if is_page or not reason else reason)[:TEXT_MAX]
