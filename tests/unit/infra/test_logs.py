"""Logs are JSON lines without card numbers, keys and secrets, with any bound values."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from loguru import logger

from internal.auth import rules as auth_rules
from internal.infra import logs, settings
from internal.kernel import errors
from internal.payments.gateways.port import Charge
from tests.support import shop

CARD = "4111 1111 1111 1111"
KEY = auth_rules.issue("0" * 12, "f" * 64).secret


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "logs" / "souk.log"
    logs.setup(settings.LogSettings(file=path, level="DEBUG"))
    yield path
    logger.remove()


def lines(file: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]


def test_a_line_is_one_json_object(file: Path) -> None:
    logger.bind(order_id="o-1", amount_minor=700).info("{what}: {{}}", what="braces {\nlines")
    (line,) = lines(file)
    assert line["message"] == "braces {\nlines: {}"
    assert (line["order_id"], line["amount_minor"], line["level"]) == ("o-1", 700, "INFO")
    assert line["what"] == "braces {\nlines"
    assert {"at", "where"} <= line.keys()


@pytest.mark.parametrize(
    "value",
    [
        f"paid with {CARD}",
        CARD.replace(" ", ""),
        int(CARD.replace(" ", "")),
        [CARD],
        {"note": CARD},
        {CARD: 1},
        ("a", {"b": [CARD]}),
        ValueError(CARD),
        f"Authorization: Bearer {KEY}",
        {"headers": [KEY]},
        shop.placed("o", tenders=(shop.card(token=CARD),)),
    ],
)
def test_no_card_number_or_key_is_logged(file: Path, value: object) -> None:
    logger.bind(thing=value).warning("about {it}", it=value)
    told = file.read_text()
    assert "4111" not in told
    assert "f" * 64 not in told
    assert len(lines(file)) == 1


@pytest.mark.parametrize("name", ["api_key", "password", "client_secret", "Authorization"])
def test_a_value_named_as_a_secret_is_hidden(file: Path, name: str) -> None:
    logger.bind(**{name: "hush", "deep": {name: "hush"}}).info("quiet")
    (line,) = lines(file)
    assert line[name] == line["deep"][name] == logs.HIDDEN


def test_a_card_token_is_hidden(file: Path) -> None:
    charge = Charge(
        key="k", merchant_id="m", amount_minor=1, currency="EUR", card_token="tok_of_somebody"
    )
    logger.bind(charge=charge).info("a charge")
    (line,) = lines(file)
    assert line["charge"]["card_token"] == logs.HIDDEN


def test_an_exception_is_logged_without_values(file: Path) -> None:
    def fail(number: str) -> None:
        raise errors.Poison("BROKEN", f"number {number}")

    try:
        fail(CARD)
    except errors.Poison:
        logger.exception("it failed")
    (line,) = lines(file)
    assert line["error"] == "Poison: number [card number]"
    assert "in fail" in line["traceback"]
    assert "4111" not in file.read_text()


def test_instants_and_hashes_are_logged(file: Path) -> None:
    at_us, digest = 1_700_000_000_123_456, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934c"
    logger.bind(at_us=at_us, body_hash=digest, nothing=None, share=0.5, good=True).info("{}", at_us)
    (line,) = lines(file)
    assert (line["at_us"], line["body_hash"], line["message"]) == (at_us, digest, str(at_us))
    assert (line["nothing"], line["share"], line["good"]) == (None, 0.5, True)


def test_the_level_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "souk.log"
    logs.setup(settings.LogSettings(file=path, level="WARNING"))
    logger.info("quiet")
    logger.warning("loud")
    logger.remove()
    assert [line["message"] for line in lines(path)] == ["loud"]


def test_a_file_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(errors.Misconfigured, match="log file"):
        logs.setup(settings.LogSettings(file=tmp_path / "taken" / "souk.log"))


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


class TestRepeats:
    """A line that is repeated while something is broken."""

    def test_pauses_grow_to_a_minute(self) -> None:
        clock = Clock()
        repeats, written = logs.Repeats(clock), []
        for _ in range(10 * 600):
            if repeats.due("bus") is not None:
                written.append(clock.now_s - 50)
            clock.now_s += 0.1
        assert [round(at_s) for at_s in written[:8]] == [0, 1, 3, 7, 15, 31, 63, 123]
        assert len(written) == 15

    def test_lines_left_out_are_counted(self) -> None:
        clock = Clock()
        repeats = logs.Repeats(clock)
        assert [repeats.due("bus") for _ in range(4)] == [0, None, None, None]
        clock.now_s += logs.FIRST_PAUSE_S
        assert [repeats.due("bus"), repeats.due("bus")] == [3, None]

    def test_names_do_not_disturb_each_other_and_quiet_forgets(self) -> None:
        clock = Clock()
        repeats = logs.Repeats(clock)
        assert [repeats.due(name) for name in ("a", "b", "a")] == [0, 0, None]
        clock.now_s += logs.QUIET_S + 1
        assert [repeats.due("a"), repeats.due("a")] == [1, None]
        clock.now_s += logs.FIRST_PAUSE_S
        assert repeats.due("a") == 1

    def test_names_are_bounded(self) -> None:
        repeats = logs.Repeats(Clock())
        for number in range(3 * logs.NAMES_MAX):
            assert repeats.due(str(number)) == 0
        assert len(repeats._names) <= logs.NAMES_MAX


def test_a_line_bound_to_a_name_is_written_seldom(file: Path) -> None:
    for _ in range(100):
        logger.bind(seldom=f"for {file}", order_id="o").warning("broken")
        logger.bind(order_id="o").warning("each")
    told = lines(file)
    assert [line["message"] for line in told].count("broken") == 1
    assert [line["message"] for line in told].count("each") == 100
    assert all("seldom" not in line for line in told)


def test_the_file_and_its_old_ones_are_private(tmp_path: Path) -> None:
    path = tmp_path / "souk.log"
    made = logs.LogFile(path, 1_000)
    for number in range(200):
        made.write(f"line {number} {'x' * 100}\n")
    made.stop()
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"souk.log", *(f"souk.log.{n}" for n in range(1, logs.KEPT_FILES + 1))}
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    assert path.read_text().splitlines()[-1].startswith("line 199 ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_a_full_disk_is_told_seldom_and_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup(settings.LogSettings(file=Path("/dev/full")))
    for _ in range(500):
        logger.error("lost")
    logger.remove()
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert "/dev/full" in told[0]
    assert "No space left" in told[0]
