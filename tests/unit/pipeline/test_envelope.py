"""Messages hold facts of one shard in their order; whatever bytes come, each fact stands alone."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from internal.flow import topics
from internal.kernel import errors, ids
from internal.kernel.facts import Fact
from internal.orders import codec, messages
from internal.pipeline import envelope, handler
from internal.privacy.messages import NOTHING, Private
from tests.support import facts, shop

BATCHES = st.lists(facts.FACTS, min_size=1, max_size=6)
SHARD_KEYS = 16


@given(BATCHES)
def test_facts_come_back_as_they_were(batch: list[messages.Fact]) -> None:
    assert topics.ENVELOPE.facts_in(envelope.encode(batch)) == batch


@given(BATCHES)
def test_every_fact_goes_to_its_topic_and_shard_in_order(batch: list[messages.Fact]) -> None:
    packed = topics.ENVELOPE.pack(batch, SHARD_KEYS)
    places = [(message.topic, message.key) for message in packed]
    assert len(set(places)) == len(places)
    for message in packed:
        inside = topics.ENVELOPE.facts_in(message.payload)
        place = message.topic, message.key
        assert inside == [fact for fact in batch if _place(fact) == place]
        assert message.properties["orders"] == str(len(inside))
    assert {_place(fact) for fact in batch} == set(places)


def _place(fact: messages.Fact) -> tuple[str, str]:
    return topics.TOPIC_OF[type(fact)], ids.shard_of(fact.merchant_id, fact.order_id, SHARD_KEYS)


def test_no_message_is_too_large() -> None:
    """All of one order, so of one shard: three messages of a third each, in order."""
    halves = [Private(f"{number}" * 300_000) for number in range(6)]
    batch = [shop.placed("o", ("tea", number)) for number in range(6)]
    packed = topics.ENVELOPE.pack(batch, SHARD_KEYS, halves)
    assert len(packed) > 1
    assert all(len(message.payload) <= envelope.MESSAGE_BYTES_MAX for message in packed)
    inside = [it for message in packed for it in topics.ENVELOPE.open(message.payload)]
    assert [(it.fact, it.private) for it in inside] == list(zip(batch, halves, strict=True))


def test_one_fact_goes_however_large() -> None:
    huge = Private("x" * 2 * envelope.MESSAGE_BYTES_MAX)
    (message,) = topics.ENVELOPE.pack([shop.placed("o")], SHARD_KEYS, [huge])
    (opened,) = topics.ENVELOPE.open(message.payload)
    assert (opened.fact, opened.private) == (shop.placed("o"), huge)


@given(st.lists(st.tuples(facts.FACTS, facts.PRIVATE), max_size=6))
def test_private_halves_stay_beside_their_facts_where_the_flow_allows_them(
    pairs: list[tuple[messages.Fact, Private]],
) -> None:
    batch, halves = [fact for fact, _ in pairs], [private for _, private in pairs]
    wanted = [(fact, private if _may_have_one(fact) else NOTHING) for fact, private in pairs]
    for message in topics.ENVELOPE.pack(batch, SHARD_KEYS, halves):
        found = [(it.fact, it.private) for it in topics.ENVELOPE.open(message.payload)]
        assert found == [it for it in wanted if _place(it[0]) == (message.topic, message.key)]
        if message.topic not in topics.WITH_PRIVATE_HALVES:
            assert b'"private"' not in message.payload


@given(facts.FACTS, facts.PRIVATE)
def test_a_private_half_is_dropped_where_the_flow_does_not_allow_one(
    fact: messages.Fact, private: Private
) -> None:
    """Another program has published it; nothing would read or erase it."""
    (opened,) = topics.ENVELOPE.open(envelope.encode([fact], [private]))
    assert opened.fact == fact
    assert opened.private == (private if _may_have_one(fact) else NOTHING)


def _may_have_one(fact: messages.Fact) -> bool:
    return isinstance(
        fact,
        messages.OrderPlaced
        | messages.CancelRequested
        | messages.UpdateOrder
        | messages.AddTender
        | messages.PaymentDue,
    )


def test_a_message_without_private_halves_does_not_name_them() -> None:
    order = shop.placed("o")
    assert b"private" not in envelope.encode([order], [NOTHING])
    two = envelope.encode([order, order], [NOTHING, Private("ring twice")])
    assert two.endswith(b'"private":[null,{"note":"ring twice"}]}')


@pytest.mark.parametrize(
    "half", [b"7", b'"x"', b'{"note":1}', b'{"tokens":{"a b":"tok"}}', b'{"tokens":[]}']
)
def test_a_private_half_that_cannot_be_read_takes_only_its_fact_along(half: bytes) -> None:
    raw = codec.encode(shop.placed("o"))
    payload = b'{"v":2,"facts":[%s,%s],"private":[%s,null]}' % (raw, raw, half)
    bad, good = topics.ENVELOPE.open(payload)
    assert isinstance(bad.fact, errors.Poison)
    assert bad.fact.code == "UNREADABLE_PRIVATE_HALF"
    assert bad.raw == b'{"v":2,"facts":[%s],"private":[%s]}' % (raw, half)
    assert (good.fact, bytes(good.raw), good.private) == (shop.placed("o"), raw, NOTHING)


def test_a_private_half_shows_nothing_of_itself() -> None:
    private = Private("ring twice", {"t1": "tok_ok"}, "+49 30 1")
    opened = envelope.Opened(shop.placed("o"), b"", private)
    work = handler.Work(shop.placed("o"), handler.Incoming("", b"", 0), private=private)
    for shown in (repr(private), str(private), repr(opened), repr(work)):
        assert not any(text in shown for text in ("ring", "tok_ok", "+49"))


def test_nothing_is_no_message() -> None:
    assert topics.ENVELOPE.pack([], SHARD_KEYS) == []


@pytest.mark.parametrize("fact", facts.EXAMPLES, ids=lambda fact: type(fact).__name__)
def test_a_bare_fact_is_read(fact: messages.Fact) -> None:
    assert topics.ENVELOPE.facts_in(codec.encode(fact)) == [fact]


def test_a_fact_that_cannot_be_read_never_takes_its_neighbours_along() -> None:
    good, raw = facts.EXAMPLES[1], codec.encode(facts.EXAMPLES[1])
    bad = [b"7", b"{}", b'{"type":"Nobody"}', raw.replace(b'"m-1"', b"null"), b'"\xff"', b"[]"]
    for one in bad:
        payload = b'{"v":2,"facts":[%s,%s,%s]}' % (raw, one, raw)
        first, poison, last = topics.ENVELOPE.facts_in(payload)
        assert first == last == good
        assert isinstance(poison, errors.Poison)
        assert poison.code == "UNREADABLE_FACT"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "UNREADABLE_MESSAGE"),
        (b"\0\0", "UNREADABLE_MESSAGE"),
        (b"\xff", "UNREADABLE_MESSAGE"),
        (b"null", "UNREADABLE_MESSAGE"),
        (b"[]", "UNREADABLE_MESSAGE"),
        (b'{"v":"1"}', "UNREADABLE_MESSAGE"),
        (b'{"v":2,"facts":{}}', "UNREADABLE_MESSAGE"),
        (b'{"v":2,"facts":[', "UNREADABLE_MESSAGE"),
        (b'{"v":%s}' % (b"9" * 5_000), "UNREADABLE_MESSAGE"),
        (b'{"v":2,"facts":' + b"[" * 100_000, "UNREADABLE_MESSAGE"),
        (b'{"a":' * 100_000, "UNREADABLE_MESSAGE"),
        (b'{"v":1,"facts":[]}', "UNKNOWN_VERSION"),
        (b'{"v":3,"facts":[]}', "UNKNOWN_VERSION"),
        (b'{"v":2,"facts":[],"private":[null]}', "UNREADABLE_MESSAGE"),
        (b'{"v":2,"facts":[1,2],"private":[null]}', "UNREADABLE_MESSAGE"),
        (b'{"v":2,"facts":[1],"private":null}', "UNREADABLE_MESSAGE"),
        (b'{"v":0,"facts":[]}', "UNKNOWN_VERSION"),
        (b'{"v":2}', "UNREADABLE_FACT"),
        (b"{}", "UNREADABLE_FACT"),
        (b'{"v":2,"facts":[%s]}' % b",".join([b"1"] * 10_001), "TOO_MANY_FACTS"),
    ],
)
def test_a_message_that_cannot_be_read_is_poison(payload: bytes, code: str) -> None:
    with pytest.raises(errors.Poison) as caught:
        topics.ENVELOPE.facts_in(payload)
    assert caught.value.code == code


@given(st.binary(max_size=200))
def test_any_bytes_are_facts_or_poison(payload: bytes) -> None:
    assert all(map(_is_sound, _opened(payload)))


@given(
    st.sampled_from([envelope.encode(facts.EXAMPLES), *map(codec.encode, facts.EXAMPLES)]),
    st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=4)), min_size=1, max_size=4),
)
def test_a_damaged_message_is_facts_or_poison(
    payload: bytes, damages: Sequence[tuple[int, bytes]]
) -> None:
    for place, bytes_ in damages:
        start = place % len(payload)
        payload = payload[:start] + bytes_ + payload[start + len(bytes_) :]
    assert all(map(_is_sound, _opened(payload)))


def _opened(payload: bytes) -> list[Fact | errors.Poison]:
    try:
        return topics.ENVELOPE.facts_in(payload)
    except errors.Poison as poison:
        return [poison]


def _is_sound(fact: Fact | errors.Poison) -> bool:
    return isinstance(fact, errors.Poison) or type(fact) in facts.KINDS


def test_a_fact_has_a_name_of_its_own() -> None:
    names = [envelope.event_id(fact) for fact in facts.EXAMPLES]
    assert names[0] == "m-1/o-1/OrderPlaced"
    assert len(set(names)) == len(names)


BAD_IDS = ["", "a ", " a", "a b", "x" * 65, "ä", "a\0", "-a"]
BAD_SKUS = ["", "tea ", " tea", "x" * 65, "a\tb", "a\0"]
GOOD_SKUS = ["tea", "AB/12", "30612190-5233-8  16\N{VULGAR FRACTION ONE HALF}", "x" * 64, "茶"]


def with_sku(sku: str) -> list[messages.Fact]:
    """Return the facts that name goods, with a second product of this name."""
    return [
        msgspec.structs.replace(
            fact, lines=(*fact.lines, msgspec.structs.replace(fact.lines[0], sku=sku))
        )
        for fact in facts.EXAMPLES
        if isinstance(fact, messages.OrderPlaced | messages.OrderAccepted | messages.OrderPaid)
    ]


@pytest.mark.parametrize("fact", facts.EXAMPLES, ids=lambda fact: type(fact).__name__)
@pytest.mark.parametrize("bad", BAD_IDS, ids=repr)
def test_a_fact_with_an_id_of_another_form_is_unreadable(fact: messages.Fact, bad: str) -> None:
    """Every id in every fact, alone in its message or among others: whatever a database ignores."""
    names = {"merchant_id", "order_id", "store_id", "request_id", "terminal_id"}
    names |= {"body_hash"} if isinstance(fact, messages.OrderPlaced) else set()
    found = [name for name in fact.__struct_fields__ if name in names]
    assert {"merchant_id", "order_id"} <= set(found)
    for name in found:
        if name == "terminal_id" and not bad:
            continue  # an order need not name one
        spoilt = msgspec.structs.replace(fact, **{name: bad})
        neighbour = facts.EXAMPLES[0]
        (poison, kept) = topics.ENVELOPE.facts_in(envelope.encode([spoilt, neighbour]))
        assert isinstance(poison, errors.Poison), name
        assert (poison.code, kept) == ("UNREADABLE_FACT", neighbour)
        assert name in str(poison)
        with pytest.raises(errors.Poison, match=name):
            topics.ENVELOPE.open(codec.encode(spoilt))


@pytest.mark.parametrize("bad", BAD_SKUS, ids=repr)
def test_a_fact_with_goods_of_no_name_is_unreadable(bad: str) -> None:
    found = topics.ENVELOPE.facts_in(envelope.encode(with_sku(bad)))
    assert [isinstance(fact, errors.Poison) for fact in found] == [True] * 3


@pytest.mark.parametrize("good", GOOD_SKUS)
def test_goods_have_any_printable_name(good: str) -> None:
    facts_of = with_sku(good)
    assert topics.ENVELOPE.facts_in(envelope.encode(facts_of)) == facts_of


def test_a_tax_code_of_another_form_is_unreadable() -> None:
    accepted = facts.EXAMPLES[2]
    assert isinstance(accepted, messages.OrderAccepted)
    tax = msgspec.structs.replace(accepted.taxes[0], code="std ")
    spoilt = msgspec.structs.replace(accepted, taxes=(tax,))
    (found,) = topics.ENVELOPE.facts_in(envelope.encode([spoilt]))
    assert isinstance(found, errors.Poison)
