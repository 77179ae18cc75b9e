"""An HTTP/2 client that may break every rule of gRPC, which a gRPC library would not let it do.

It writes single frames: headers without a body, headers over many frames, windows that never open.
It reads enough to know how each stream ended. It sends no compressed headers and asks for none.
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Iterable, Sequence

import msgspec
from google.rpc import error_details_pb2, status_pb2

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
WINDOW_UPDATE, CONTINUATION = 8, 9
ACK, END_STREAM, END_HEADERS = 0x1, 0x1, 0x4
TABLE_SIZE, INITIAL_WINDOW, TRUE_BINARY = 0x1, 0x4, 0xFE03
WINDOW_BYTES = 2**31 - 1
WINDOW_AT_FIRST_BYTES = 65_535
FRAME_BYTES_MAX = 16_384
SERVICE = "/souk.v1.OrderService/"
HEAD = struct.Struct(">HBBBI")
STATUS_NAME = "grpc-status"
DETAILS_NAME = "grpc-status-details-bin"

Headers = Sequence[tuple[str, str]]


class Reply(msgspec.Struct):
    """What came back on one stream so far."""

    headers: dict[str, bytes] = {}
    body_bytes: int = 0
    is_ended: bool = False
    is_reset: bool = False

    @property
    def code(self) -> int | None:
        """The gRPC status; None while there is none."""
        status = self.headers.get(STATUS_NAME)
        return None if status is None else int(status)

    @property
    def reason(self) -> str:
        """The reason in its ErrorInfo; "" if the answer has no type."""
        reason: str = self._detail(error_details_pb2.ErrorInfo()).reason
        return reason

    @property
    def retry_after_s(self) -> float:
        """The wait in its RetryInfo; 0 without one."""
        seconds: float = (
            self._detail(error_details_pb2.RetryInfo()).retry_delay.ToTimedelta().total_seconds()
        )
        return seconds

    def _detail(self, kind: error_details_pb2.ErrorInfo) -> error_details_pb2.ErrorInfo:
        status = status_pb2.Status.FromString(self.headers.get(DETAILS_NAME, b"").lstrip(b"\0"))
        for detail in status.details:
            if detail.Unpack(kind):
                break
        return kind


class Connection:
    """One connection; made by `connected`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take an open socket."""
        self._reader, self._writer = reader, writer
        self._next_stream = 1
        self.replies: dict[int, Reply] = {}
        self.is_closed = False
        """Whether the server has closed the connection, or said that it will."""
        self._changed = asyncio.Event()
        self._window = self._window_at_first = WINDOW_AT_FIRST_BYTES
        self._windows: dict[int, int] = {}
        self._unsent: dict[int, bytes] = {}

    def greet(self, window_bytes: int = WINDOW_BYTES) -> None:
        """Send the preface; `window_bytes` is what the server may send on each stream."""
        wanted = ((TABLE_SIZE, 0), (INITIAL_WINDOW, window_bytes), (TRUE_BINARY, 1))
        settings = b"".join(struct.pack(">HI", name, value) for name, value in wanted)
        self._writer.write(PREFACE + frame(SETTINGS, 0, 0, settings))

    def open_stream(
        self, headers: Headers, *, body: bytes | None = None, continuations: Iterable[bytes] = ()
    ) -> int:
        """Send the headers of a call, and its body unless it is None; return the stream."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        self.replies[stream] = Reply({})
        more = list(continuations)
        self._writer.write(frame(HEADERS, 0 if more else END_HEADERS, stream, encoded(headers)))
        for n, part in enumerate(more, start=1):
            flags = END_HEADERS if n == len(more) else 0
            self._writer.write(frame(CONTINUATION, flags, stream, part))
        if body is not None:
            self.send(stream, body)
        return stream

    def send(self, stream: int, body: bytes) -> None:
        """Send the one message of a call, which ends the caller's half of the stream."""
        whole = b"\0" + struct.pack(">I", len(body)) + body
        self._unsent[stream] = whole
        self._windows.setdefault(stream, self._window_at_first)
        self._send_what_fits(stream)

    def finish(self, stream: int) -> None:
        """End the caller's half of a stream without a message."""
        self._writer.write(frame(DATA, END_STREAM, stream))

    def reset(self, stream: int) -> None:
        """Take a call back."""
        self._writer.write(frame(RST_STREAM, 0, stream, struct.pack(">I", 8)))

    async def drain(self) -> None:
        """Wait until what was written is on its way."""
        await self._writer.drain()

    async def read(self) -> None:
        """Read until the server closes the connection."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                size_high, size_low, kind, flags, stream = HEAD.unpack(
                    await self._reader.readexactly(HEAD.size)
                )
                payload = await self._reader.readexactly(size_high << 8 | size_low)
                self._take(kind, flags, stream, payload)
                self._changed.set()
        self.is_closed = True
        self._changed.set()

    async def ended(self, stream: int) -> Reply:
        """Wait until the server has ended a stream or the connection."""
        return await self.first_ended([stream])

    async def first_ended(self, streams: Sequence[int]) -> Reply:
        """Wait until the server has ended one of these streams, or the connection."""
        while True:
            ended = [stream for stream in streams if self.replies[stream].is_ended]
            if ended or self.is_closed:
                return self.replies[(ended or streams)[0]]
            self._changed.clear()
            await self._changed.wait()

    async def closed(self) -> None:
        """Wait until the server has closed the connection, or has said that it will."""
        while not self.is_closed:
            self._changed.clear()
            await self._changed.wait()

    async def aclose(self) -> None:
        """Close the socket."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def _send_what_fits(self, stream: int) -> None:
        """Send as much of a message as the server's windows allow."""
        left = self._unsent[stream]
        while left and (fits := min(self._window, self._windows[stream], FRAME_BYTES_MAX)) > 0:
            part, left = left[:fits], left[fits:]
            self._window -= len(part)
            self._windows[stream] -= len(part)
            self._writer.write(frame(DATA, 0 if left else END_STREAM, stream, part))
        self._unsent[stream] = left
        if not left:
            del self._unsent[stream]

    def _set_windows(self, settings: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", settings):
            if name == INITIAL_WINDOW:
                more, self._window_at_first = value - self._window_at_first, value
                for stream in self._windows:
                    self._windows[stream] += more

    def _widen(self, stream: int, more: int) -> None:
        if stream:
            self._windows[stream] = self._windows.get(stream, self._window_at_first) + more
        else:
            self._window += more
        for waiting in list(self._unsent):
            self._send_what_fits(waiting)

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            self._writer.write(frame(SETTINGS, ACK, 0))
            self._set_windows(payload)
        elif kind == PING and not flags & ACK:
            self._writer.write(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            self._widen(stream, int.from_bytes(payload) & WINDOW_BYTES)
        elif kind == GOAWAY:
            self.is_closed = True
        reply = self.replies.get(stream)
        if reply is None:
            return
        if kind == HEADERS:
            reply.headers |= decoded(payload)
        elif kind == DATA:
            reply.body_bytes += len(payload)
        reply.is_reset = reply.is_reset or kind == RST_STREAM
        is_last = kind in {HEADERS, DATA} and bool(flags & END_STREAM)
        reply.is_ended = reply.is_ended or is_last or kind == RST_STREAM


@contextlib.asynccontextmanager
async def connected(target: str, window_bytes: int = WINDOW_BYTES) -> AsyncIterator[Connection]:
    """Connect to HOST:PORT, and greet; close the socket at the end.

    Args:
        target: the server.
        window_bytes: what the server may send on each stream.
    """
    host, _, port = target.rpartition(":")
    connection = Connection(*await asyncio.open_connection(host, int(port)))
    reading = asyncio.create_task(connection.read())
    connection.greet(window_bytes)
    try:
        yield connection
    finally:
        reading.cancel()
        await asyncio.wait([reading])
        await connection.aclose()


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame."""
    size = len(payload)
    return HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def call_headers(method: str, *more: tuple[str, str]) -> Headers:
    """Return the headers of a call of the order service."""
    return (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", SERVICE + method),
        (":authority", "souk"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        *more,
    )


def encoded(headers: Headers) -> bytes:
    """Return headers as literals that are never indexed. Source: RFC 7541, 6.2.3."""
    return b"".join(b"\x10" + _text(name) + _text(value) for name, value in headers)


def _text(text: str) -> bytes:
    raw = text.encode()
    return _number(len(raw)) + raw


def _number(value: int) -> bytes:
    """Return a number with a prefix of seven bits. Source: RFC 7541, 5.1."""
    if value < 0x7F:  # noqa: PLR2004 - what fits the prefix
        return bytes([value])
    value -= 0x7F
    rest = bytearray([0x7F])
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        rest.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*rest, value])


def decoded(block: bytes) -> dict[str, bytes]:
    """Return the headers of a block. Those of the static table are left out: none is gRPC's."""
    found: dict[str, bytes] = {}
    at = 0
    while at < len(block):
        first = block[at]
        if first & 0x80:  # indexed
            _, at = _read_number(block, at, 7)
        elif first & 0xE0 == 0x20:  # noqa: PLR2004 - the size of the table changes
            _, at = _read_number(block, at, 5)
        else:
            index, at = _read_number(block, at, 6 if first & 0x40 else 4)
            name, at = (b"", at) if index else _read_text(block, at)
            value, at = _read_text(block, at)
            found[name.decode()] = value
    return found


def _read_text(block: bytes, at: int) -> tuple[bytes, int]:
    size, start = _read_number(block, at, 7)
    return block[start : start + size], start + size


def _read_number(block: bytes, at: int, bits: int) -> tuple[int, int]:
    limit = (1 << bits) - 1
    value, at = block[at] & limit, at + 1
    if value < limit:
        return value, at
    for shift in range(0, 63, 7):
        byte, at = block[at], at + 1
        value += (byte & 0x7F) << shift
        if not byte & 0x80:
            break
    return value, at
