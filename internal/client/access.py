"""How a client gets in: the server's address, the API key, TLS.

An API key comes from a file or the environment, never from a command line, which every user of the
machine can read.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import grpc
import msgspec

from internal.kernel import addresses, errors

API_KEY_VARIABLE = "SOUK_API_KEY"
KEY_FILE_BYTES_MAX = 1_024
KEY_FORM = "souk_, 12 hex digits, _, 64 hex digits"


class Access(msgspec.Struct, frozen=True):
    """The server's address and the credentials for it."""

    target: str
    """HOST:PORT."""
    api_key: str
    ca_file: Path | None = None
    """PEM. The client speaks TLS and trusts this authority; None means clear text."""
    cert_file: Path | None = None
    """PEM of the client's certificate, for mTLS; together with `key_file`."""
    key_file: Path | None = None
    """PEM of the client's private key."""


def fits_a_header(key: str) -> bool:
    """Tell whether a text can be sent as an API key at all."""
    return bool(key) and key.isascii() and key.isprintable()


def find_api_key(
    named: Path | None,
    environment: Mapping[str, str],
    demo_file: Path,
    is_key: Callable[[str], bool] = fits_a_header,
) -> str:
    """Return the key from the file named, else from the environment, else the demo merchant's.

    Raises:
        Misconfigured: no key is found, or the text in its place is not one. The message never
            repeats that text.
    """
    if named:
        return _checked(_read(named), str(named), is_key)
    if API_KEY_VARIABLE in environment:
        return _checked(environment[API_KEY_VARIABLE], API_KEY_VARIABLE, is_key)
    if demo_file.is_file():
        return _checked(_read(demo_file), str(demo_file), is_key)
    raise errors.Misconfigured(
        f"no API key: name a file that holds one with --api-key-file, or set {API_KEY_VARIABLE}"
        f" ({demo_file} does not exist; `souk merchants create` makes a merchant with a key)"
    )


def _checked(text: str, place: str, is_key: Callable[[str], bool]) -> str:
    key = text.strip()
    if not is_key(key):
        raise errors.Misconfigured(f"{place} holds no API key ({KEY_FORM})")
    return key


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(KEY_FILE_BYTES_MAX).decode(errors="replace")
    except OSError as error:
        raise errors.Misconfigured(f"{file}: {error.strerror}") from error


def credentials(access: Access) -> grpc.ChannelCredentials | None:
    """Return what the channel is secured with; None for clear text.

    Raises:
        Misconfigured: half of a certificate was named, or a file cannot be read.
    """
    if (access.cert_file is None) != (access.key_file is None):
        raise errors.Misconfigured("--tls-cert and --tls-key go together")
    if access.ca_file is None:
        if access.cert_file:
            raise errors.Misconfigured("--tls-cert needs --tls-ca")
        return None
    return grpc.ssl_channel_credentials(
        _pem(access.ca_file), _pem(access.key_file), _pem(access.cert_file)
    )


def _pem(file: Path | None) -> bytes | None:
    try:
        return file.read_bytes() if file else None
    except OSError as error:
        raise errors.Misconfigured(f"{file}: {error.strerror}") from error


def is_loopback(target: str) -> bool:
    """Tell whether a target is on this machine, so that clear text leaves it nowhere."""
    host = (target.rpartition(":")[0] or target).strip("[]")
    return target.startswith("unix:") or addresses.is_loopback(host)
