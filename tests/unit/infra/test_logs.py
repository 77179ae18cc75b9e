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
    logger.bind(tender=shop.card(token="tok_of_somebody")).info("a tender")
    (line,) = lines(file)
    assert line["tender"]["card_token"] == logs.HIDDEN


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
