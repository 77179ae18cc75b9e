"""Addresses, as far as it matters who could listen on the way to them. Names are not looked up."""

import ipaddress
from urllib.parse import urlsplit

SAFE_SCHEMES = ("pulsar+ssl://", "https://")


def is_loopback(host: str) -> bool:
    """Tell whether an address or name is this machine only."""
    if host == "localhost" or host.startswith("unix:"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_closed_to_listeners(url: str) -> bool:
    """Tell whether all hosts in a URL are reached by TLS, or are this machine."""
    hosts = [urlsplit(f"//{part}").hostname or "" for part in url.partition("://")[2].split(",")]
    return url.startswith(SAFE_SCHEMES) or all(map(is_loopback, hosts))
