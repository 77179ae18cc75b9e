"""Which message a dead letter is sent again as."""

from internal.flow import replay, topics
from internal.kernel import cards, errors, ids
from internal.orders.messages import CancelRequested, OrderPlaced
from internal.pipeline import dead_letters, envelope
from internal.privacy.messages import Private
from tests.support import shop

FACT = CancelRequested("m", "o-7", "r-1", 1, "h")


def letter(payload: str, merchant_id: str = "", order_id: str = "") -> dead_letters.DeadLetter:
    """Return a letter of the order stage."""
    return dead_letters.DeadLetter(
        "order_processing", "orders.placed", "BUG", "", "order", merchant_id, order_id, payload, 1
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
    whole = f'{{"v":2,"facts":[{{}},{envelope.encode([FACT]).decode()[16:-2]}]}}'
    message = replay.message_of(letter(whole), 16)
    assert message.key == ids.shard_of("m", "o-7", 16)
    assert message.properties["orders"] == "2"


def test_a_letter_with_something_taken_out_is_not_whole() -> None:
    assert replay.is_whole(letter("{}"), {})
    assert not replay.is_whole(letter(cards.redact('{"note":"4111111111111111"}')), {})


def test_the_letter_of_an_order_with_a_gtin_is_whole_and_a_card_number_in_it_is_not() -> None:
    """This GTIN passes for a Visa number of 13 digits wherever product codes do not stand."""
    gtin = "4006381330060"
    assert cards.find_card_number(gtin)
    order = shop.placed("o", (gtin, 1), (gtin, 2))
    good = of_fact(order, Private("thanks"))
    assert is_whole(good)
    assert gtin in good.letter.payload
    bad = of_fact(order, Private("4111 1111 1111 1111"))
    assert bad.content == f'{{"note":"{cards.REDACTED}"}}'
    assert not is_whole(bad)
    assert not is_whole(of_fact(order, Private(gtin)))
    assert not is_whole(of_fact(shop.placed("o", ("4111111111111111", 1)), Private()))


def test_a_letter_is_put_together_again_with_its_private_half() -> None:
    order, private = shop.placed("o"), Private("ring twice", {"t1": "tok_ok"})
    new = of_fact(order, private)
    assert "ring twice" not in new.letter.payload + repr(new)
    assert "tok_ok" not in new.letter.payload + repr(new)
    message = replay.message_of(new.letter, 16, new.content)
    assert message.payload == envelope.encode([order], [private])
    (opened,) = topics.ENVELOPE.open(message.payload)
    assert (opened.fact, opened.private) == (order, private)


def test_a_letter_without_its_private_half_is_not_whole() -> None:
    new = of_fact(shop.placed("o"), Private("ring twice"))
    assert not replay.is_whole(new.letter, {})
    assert replay.is_whole(of_fact(shop.placed("o"), Private()).letter, {})


def test_an_unreadable_message_is_held_and_only_its_digest_is_shown() -> None:
    payload = b'{"v":2,"facts":[{"note":"ring twice"}]}'
    poison = errors.Poison("UNREADABLE", "")
    new = dead_letters.of_unreadable(PLACE, payload, poison, 1)
    assert "ring twice" not in new.letter.payload
    assert new.letter.payload.startswith(f'{{"bytes":{len(payload)},"blake2b":"')
    assert replay.message_of(new.letter, 16, new.content).payload == payload
    assert is_whole(new)


def test_a_message_that_was_cut_is_not_whole() -> None:
    noise = b"\xff" * dead_letters.PAYLOAD_BYTES_MAX
    poison = errors.Poison("UNREADABLE", "")
    assert not is_whole(dead_letters.of_unreadable(PLACE, noise, poison, 1))


PLACE = dead_letters.Place("order_processing", "orders.placed")


def of_fact(order: OrderPlaced, private: Private) -> dead_letters.NewLetter:
    return dead_letters.of_fact(PLACE, order, private, KeyError("sku"), 1)


def is_whole(new: dead_letters.NewLetter) -> bool:
    """Tell whether a letter is whole whose content is held under the key 0."""
    return replay.is_whole(new.letter, {0: new.content})
