"""The order log's text: facts of orders to JSON and back, one at a time."""

from internal.kernel import facts
from internal.orders import messages

_CODEC: facts.Codec[messages.Fact] = facts.Codec(messages.Fact)

encode = facts.encode
decode = _CODEC.decode
