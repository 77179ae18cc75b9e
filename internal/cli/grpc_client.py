"""The gRPC client of the command line: one connection, one API key, one deadline for each call.

The key comes from a file or the environment, never from the command line: there every user of the
machine could read it.
"""

import contextlib
import ipaddress
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import tenacity

from internal.auth import rules as auth_rules
from internal.cli import exit_codes, output
from internal.cli.options import TARGET_DEFAULT, Server
from internal.infra import files, settings
from internal.kernel import errors
from internal.wire.souk.v1 import order_pb2, order_service_pb2, order_service_pb2_grpc

API_KEY_VARIABLE = "SOUK_API_KEY"
KEY_FILE_BYTES_MAX = 1_024
REPLY_BYTES_MAX = 32 * 1024 * 1024
WATCH_SILENT_ATTEMPTS_MAX = 12
"""So many connections in a row without news end a watch: about a minute."""
WATCH_LONGEST_PAUSE_S = 8.0
_HUNG_UP = ("Socket closed", "andshak", "SSL_ERROR")
_PASSING = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


class Orders:
    """The service of orders, as one merchant."""

    def __init__(self, channel: grpc.Channel, api_key: str, timeout_s: float) -> None:
        self.stub = order_service_pb2_grpc.OrderServiceStub(channel)  # type: ignore[no-untyped-call]
        self.how = {"metadata": (("x-api-key", api_key),), "timeout": timeout_s}

    def submit(
        self, draft: order_pb2.OrderDraft, wait_for: order_service_pb2.WaitFor
    ) -> order_service_pb2.SubmitOrderResponse:
        """Place an order."""
        request = order_service_pb2.SubmitOrderRequest(order=draft, wait_for=wait_for)
        answer: order_service_pb2.SubmitOrderResponse = self.stub.SubmitOrder(request, **self.how)
        return answer

    def get(self, order_id: str) -> order_pb2.Order:
        """Return all about an order."""
        request = order_service_pb2.GetOrderRequest(order_id=order_id)
        order: order_pb2.Order = self.stub.GetOrder(request, **self.how).order
        return order

    def list_page(
        self, request: order_service_pb2.ListOrdersRequest
    ) -> order_service_pb2.ListOrdersResponse:
        """Return a page of orders, newest first."""
        page: order_service_pb2.ListOrdersResponse = self.stub.ListOrders(request, **self.how)
        return page

    def cancel(
        self, request: order_service_pb2.CancelOrderRequest
    ) -> order_service_pb2.CancelOrderResponse:
        """Undo an order."""
        answer: order_service_pb2.CancelOrderResponse = self.stub.CancelOrder(request, **self.how)
        return answer

    def quote(
        self, request: order_service_pb2.QuoteOrderRequest
    ) -> order_service_pb2.QuoteOrderResponse:
        """Return what an order would cost."""
        answer: order_service_pb2.QuoteOrderResponse = self.stub.QuoteOrder(request, **self.how)
        return answer

    def watch(
        self, order_id: str, from_version: int, tell: Callable[[order_pb2.LogEntry], None]
    ) -> order_pb2.Order:
        """Tell every step of an order and return it at its end.

        A stream that breaks is taken up where it broke.

        Raises:
            grpc.RpcError: nobody answers, or the order cannot be watched.
            Temporary: the server keeps ending the stream before the order has ended.
        """
        return _Watch(self, order_id, from_version, tell).run()


class _Watch:
    """A stream that goes on over restarts of the server, as long as it brought news before."""

    def __init__(
        self, orders: Orders, order_id: str, seen: int, tell: Callable[[order_pb2.LogEntry], None]
    ) -> None:
        self._orders, self._order_id, self._seen, self._tell = orders, order_id, seen, tell
        self._silent_attempts = 0
        self._had_news = False

    def run(self) -> order_pb2.Order:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._may_pass),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=WATCH_LONGEST_PAUSE_S),
            stop=lambda _: self._silent_attempts >= WATCH_SILENT_ATTEMPTS_MAX,
            before_sleep=lambda _: self._remark(),
            reraise=True,
        )
        return retrying(self._follow)

    def _follow(self) -> order_pb2.Order:
        """Follow one stream to the order's end."""
        self._silent_attempts += 1
        request = order_service_pb2.WatchOrderRequest(
            order_id=self._order_id, from_version=self._seen
        )
        metadata = self._orders.how["metadata"]
        for answer in self._orders.stub.WatchOrder(request, metadata=metadata):
            self._silent_attempts, self._had_news = 0, True
            self._seen = answer.entry.version
            self._tell(answer.entry)
            if answer.HasField("order"):
                order: order_pb2.Order = answer.order
                return order
        raise errors.Temporary(f"the stream ended before the order {self._order_id} did")

    def _remark(self) -> None:
        if self._silent_attempts <= 1:
            output.remark("the stream broke off; taking it up again …")

    def _may_pass(self, error: BaseException) -> bool:
        if isinstance(error, grpc.RpcError):
            return self._had_news and error.code() in _PASSING
        return isinstance(error, errors.Temporary)


@contextlib.contextmanager
def connect(server: Server) -> Iterator[Orders]:
    """Open a connection; nothing is sent before the first call.

    Raises:
        Misconfigured: no API key, or a file that holds none.
        grpc.RpcError: a call went wrong; when nobody was reached, with a note that says where that
            was and what to do.
    """
    key = api_key(server)
    options = (("grpc.max_receive_message_length", REPLY_BYTES_MAX),)
    credentials = _credentials(server)
    if credentials:
        channel = grpc.secure_channel(server.target, credentials, options)
    else:
        _warn_of_clear_text(server.target)
        channel = grpc.insecure_channel(server.target, options)
    with channel:
        try:
            yield Orders(channel, key, server.timeout_s)
        except grpc.RpcError as error:
            if exit_codes.status_of(error) is None:
                _add_note(error, server)
            raise


def api_key(server: Server) -> str:
    """Return the key from the file named, else from the environment, else the demo merchant's.

    Raises:
        Misconfigured: there is none, or what is there is no key. The message never repeats it.
    """
    if server.api_key_file:
        return _checked(_read_key(server.api_key_file), str(server.api_key_file))
    if API_KEY_VARIABLE in os.environ:
        return _checked(os.environ[API_KEY_VARIABLE], API_KEY_VARIABLE)
    demo = settings.of_folder(server.data).storage.data_dir / files.DEMO_KEY
    if demo.is_file():
        return _checked(_read_key(demo), str(demo))
    raise errors.Misconfigured(
        f"no API key: name a file that holds one with --api-key-file, or set {API_KEY_VARIABLE}"
        f" ({demo} does not exist; `souk merchants create` makes a merchant with a key)"
    )


def _read_key(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(KEY_FILE_BYTES_MAX).decode(errors="replace")
    except OSError as error:
        raise errors.Misconfigured(f"{path}: {error.strerror}") from error


def _checked(text: str, where: str) -> str:
    key = text.strip()
    if auth_rules.key_id_of(key) is None:
        raise errors.Misconfigured(
            f"{where} holds no API key (souk_, 12 hex digits, _, 64 hex digits)"
        )
    return key


def _credentials(server: Server) -> grpc.ChannelCredentials | None:
    if (server.tls_cert is None) != (server.tls_key is None):
        raise errors.Misconfigured("--tls-cert and --tls-key go together")
    if server.tls_ca is None:
        if server.tls_cert:
            raise errors.Misconfigured("--tls-cert needs --tls-ca")
        return None
    return grpc.ssl_channel_credentials(
        server.tls_ca.read_bytes(),
        server.tls_key.read_bytes() if server.tls_key else None,
        server.tls_cert.read_bytes() if server.tls_cert else None,
    )


def _warn_of_clear_text(target: str) -> None:
    if not _is_loopback(target):
        output.remark(f"The API key goes to {target} in clear text; --tls-ca FILE turns TLS on.")


def _is_loopback(target: str) -> bool:
    host = (target.rpartition(":")[0] or target).strip("[]")
    if host == "localhost" or target.startswith("unix:"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _add_note(error: grpc.RpcError, server: Server) -> None:
    """Say what to do when nobody was reached, which gRPC tells by code and details alone."""
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        error.add_note(f"{server.target} was given {server.timeout_s:g} s; --timeout gives more.")
    elif code is grpc.StatusCode.UNAVAILABLE and any(sign in details for sign in _HUNG_UP):
        error.add_note(f"{server.target} hung up: perhaps one side speaks TLS, the other does not.")
    elif code is grpc.StatusCode.UNAVAILABLE:
        error.add_note(
            f"No server answers at {server.target}. `scripts/start` starts one at"
            f" {TARGET_DEFAULT}; --target or SOUK_TARGET names another address."
        )
