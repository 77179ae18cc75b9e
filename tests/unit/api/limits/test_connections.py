"""Connections whose answers are not read, and the sockets behind their names."""

import socket
import tempfile
from pathlib import Path

from internal.api.limits import connections


class Rig:
    """Slow readers on a clock that is moved by hand; remembers what was cut."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.cut: list[str] = []
        self.readers = connections.SlowReaders(60, self.cut.append, lambda: self.now_s)


async def test_a_late_answer_cuts_its_connection_once() -> None:
    rig = Rig()
    rig.readers.answered("slow")
    rig.readers.answered("slow")
    rig.now_s += 30
    rig.readers.answered("later")
    rig.now_s += 29
    await rig.readers.look()
    assert not rig.cut
    rig.now_s += 2
    await rig.readers.look()
    await rig.readers.look()
    assert rig.cut == ["slow"]


async def test_an_answer_that_was_sent_cuts_nothing() -> None:
    rig = Rig()
    sent = rig.readers.answered("quick")
    sent()
    sent()
    rig.now_s += 1_000
    await rig.readers.look()
    assert not rig.cut


def test_only_the_named_socket_is_shut_and_no_descriptor_is_closed() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        tempfile.TemporaryFile() as file,
        socket.create_connection(server.getsockname()) as first,
        socket.create_connection(server.getsockname()) as second,
    ):
        ends = [server.accept()[0] for _ in range(2)]
        assert connections.count(server.getsockname()[1]) == 2
        before = sorted(entry.name for entry in Path("/dev/fd").iterdir())
        connections.shut(f"ipv4:127.0.0.1:{first.getsockname()[1]}")
        assert sorted(entry.name for entry in Path("/dev/fd").iterdir()) == before
        assert first.recv(1) == b""
        second.send(b"x")
        assert ends[1].recv(1) == b"x"
        file.write(b"x")
        for end in ends:
            end.close()


def test_a_name_of_the_newer_protocol() -> None:
    with (
        socket.create_server(("::1", 0), family=socket.AF_INET6) as server,
        socket.create_connection(server.getsockname()[:2]) as client,
    ):
        end, _ = server.accept()
        connections.shut(f"ipv6:%5B::1%5D:{client.getsockname()[1]}")
        assert client.recv(1) == b""
        end.close()
