"""The tail of a log shows why a process ended."""

from pathlib import Path

import pytest

from internal.stack import log_tail

FAREWELL = [f"2026-11-21 INFO closing {number}" for number in range(40)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_last_lines(log: Path) -> None:
    log.write_text("\n".join(FAREWELL))
    assert log_tail.of(log) == FAREWELL[-log_tail.LINES :]


def test_short_empty_and_missing_logs(log: Path) -> None:
    assert log_tail.of(log) == []
    log.write_bytes(b"")
    assert log_tail.of(log) == []
    log.write_bytes(b"caf\xe9 closed")
    assert log_tail.of(log) == ["caf\ufffd closed"]


@pytest.mark.parametrize(
    "trouble",
    [
        "2026-11-21 [main] ERROR PulsarStandaloneStarter - Failed to start pulsar service.",
        "2026-11-21 16:02 0 [ERROR] mariadbd: Can't lock aria control file",
        "Caused by: ManagedLedgerException: Not enough non-faulty bookies available",
        "org.apache.pulsar.broker.PulsarServerException: no",
        "ModuleNotFoundError: No module named 'msgspec'",
    ],
)
def test_error_is_found_before_a_long_shutdown(log: Path, trouble: str) -> None:
    log.write_text("\n".join([*FAREWELL, trouble, *FAREWELL]))
    assert log_tail.of(log) == [trouble, *FAREWELL[-log_tail.LINES :]]


def test_error_in_the_last_lines_is_shown_once(log: Path) -> None:
    log.write_text("\n".join([*FAREWELL, "FATAL: no space"]))
    assert log_tail.of(log).count("FATAL: no space") == 1


def test_only_the_last_of_many_errors(log: Path) -> None:
    troubles = [f"ERROR {number}" for number in range(99_999)]
    log.write_text("\n".join([*troubles, *FAREWELL]))
    assert log_tail.of(log)[: log_tail.LINES] == troubles[-log_tail.LINES :]
