"""Facts of orders and answers to commands, as JSON in the database and back, one at a time."""

from internal.kernel import facts
from internal.orders import messages

_CODEC: facts.Codec[messages.Fact] = facts.Codec(messages.Fact)

encode = facts.encode
decode = _CODEC.decode

_ANSWERS: facts.Codec[messages.CommandAnswer] = facts.Codec(messages.CommandAnswer)


def encode_answer(answer: messages.CommandAnswer) -> str:
    """Return the answer to a command as the table of requests holds it."""
    return facts.encode(answer).decode()


decode_answer = _ANSWERS.decode
