"""Who could listen on the way to an address."""

import pytest

from internal.kernel import addresses


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("[::1]", True),
        ("unix:/run/souk", True),
        ("0.0.0.0", False),  # noqa: S104 - nothing listens
        ("10.1.2.3", False),
        ("localhost.example.com", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, *, is_here: bool) -> None:
    assert addresses.is_loopback(host) is is_here


@pytest.mark.parametrize(
    ("url", "is_closed"),
    [
        ("https://broker.example.com:8443", True),
        ("pulsar+ssl://a:1,b:2", True),
        ("http://127.0.0.1:8080", True),
        ("http://broker:8080", False),
        ("pulsar://127.0.0.1:6650,broker:6650", False),
    ],
)
def test_a_url_is_closed_by_tls_or_by_staying_here(url: str, *, is_closed: bool) -> None:
    assert addresses.is_closed_to_listeners(url) is is_closed
