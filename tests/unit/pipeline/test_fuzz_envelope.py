"""Whatever bytes stand on a topic: they are facts, or they are poison. Nothing else escapes."""

from hypothesis import example, given
from hypothesis import strategies as st

from internal.flow import topics
from internal.kernel import errors
from internal.orders import messages
from internal.pipeline import envelope
from tests.support import facts, profiles

DEEP = 100_000
PAYLOADS = st.lists(facts.FACTS, min_size=1, max_size=3).map(envelope.encode)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Take a good payload; change, cut out, repeat and put in some bytes."""
    payload = bytearray(draw(PAYLOADS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(payload)))
        end = min(len(payload), start + draw(st.integers(0, 8)))
        payload[start:end] = draw(st.binary(max_size=8) | st.just(bytes(payload[start:end]) * 2))
    return bytes(payload)


def opened(payload: bytes) -> list[object]:
    """Open a payload: its facts and poisons, none if it is poison as a whole."""
    try:
        return list(topics.ENVELOPE.facts_in(payload))
    except errors.Poison:
        return []


@profiles.tries(300)
@given(damaged() | st.binary())
@example(b'{"v":2,"facts":' + b"[" * DEEP)
@example(b'{"v":2,"facts":[{"type":"OrderPlaced","note":' + b"[" * DEEP + b"]" * DEEP + b"}]}")
@example(b'{"v":2,"facts":[{"type":"CancelRequested","merchant_id":"\xff"}]}')
@example(b'{"type":"\xff"}')
@example(b'{"v":2e999,"facts":[]}')
@example(b'{"v":2,"facts":[{"type":"OrderPlaced","placed_at_us":1e999}]}')
def test_bytes_are_facts_or_poison(payload: bytes) -> None:
    kinds = (*topics.TOPIC_OF, errors.Poison)
    assert all(isinstance(fact, kinds) for fact in opened(payload))


@profiles.tries(100)
@given(st.lists(facts.FACTS, max_size=3), st.data())
def test_one_that_is_damaged_leaves_its_neighbours_alone(
    good: list[messages.Fact], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(good)))
    wrong = data.draw(st.sampled_from([b"{}", b"7", b'{"type":"Nobody"}', b'"\xff"', b"[[]]"]))
    parts = [envelope.encode([fact])[len(b'{"v":2,"facts":[') : -2] for fact in good]
    parts.insert(place, wrong)
    found = opened(b'{"v":2,"facts":[' + b",".join(parts) + b"]}")
    assert isinstance(found.pop(place), errors.Poison)
    assert found == good
