"""Which message a dead letter is sent again as."""

from internal.flow import replay
from internal.kernel import cards, errors, ids
from internal.orders.messages import CancelRequested
from internal.pipeline import dead_letters, envelope

FACT = CancelRequested("m", "o-7", "r-1", "h", 1)


def letter(payload: str, merchant_id: str = "", order_id: str = "") -> dead_letters.DeadLetter:
    """Return a letter of the order stage."""
    return dead_letters.DeadLetter(
        "order_processing", "orders.placed", "BUG", "", merchant_id, order_id, payload, 1
    )


def test_one_order_goes_to_its_own_shard() -> None:
    message = replay.message_of(letter(envelope.encode([FACT]).decode()), 16)
    assert message.topic == "orders.placed"
    assert message.key == ids.shard_of("m", "o-7", 16)
    assert message.payload == envelope.encode([FACT])
    assert message.properties["orders"] == "1"


def test_what_cannot_be_read_is_sent_as_it_is() -> None:
    message = replay.message_of(letter("{", "m", "o-7"), 16)
    assert (message.key, message.payload) == (ids.shard_of("m", "o-7", 16), b"{")


def test_of_many_facts_the_first_readable_one_decides() -> None:
    whole = f'{{"v":1,"facts":[{{}},{envelope.encode([FACT]).decode()[16:-2]}]}}'
    message = replay.message_of(letter(whole), 16)
    assert message.key == ids.shard_of("m", "o-7", 16)
    assert message.properties["orders"] == "2"


def test_a_letter_with_something_taken_out_is_not_whole() -> None:
    assert replay.is_whole(letter("{}"))
    assert not replay.is_whole(letter(cards.redact('{"note":"4111111111111111"}')))


def test_the_letter_of_an_order_with_a_gtin_is_whole_and_a_card_number_in_it_is_not() -> None:
    """This GTIN passes for a Visa number of 13 digits wherever product codes do not stand."""
    gtin = "4006381330060"
    assert cards.find_card_number(gtin)
    payload = '{"lines":[{"sku":"%s"},{"sku":"%s"}],"note":"%s"}'
    good, bad = payload % (gtin, gtin, "thanks"), payload % (gtin, gtin, "4111 1111 1111 1111")
    assert of_payload(good).payload == good
    assert replay.is_whole(of_payload(good))
    assert of_payload(bad).payload == payload % (gtin, gtin, cards.REDACTED)
    assert not replay.is_whole(of_payload(payload % (gtin, "4111111111111111", "")))
    assert not replay.is_whole(of_payload(payload % (gtin, gtin, gtin)))


def of_payload(payload: str) -> dead_letters.DeadLetter:
    poison = errors.Poison("UNREADABLE", "")
    return dead_letters.of_error(
        "order_processing", "orders.placed", None, payload.encode(), poison, 1
    )
