"""Every field of every request of the service, found in the contract itself."""

from collections.abc import Iterator
from typing import NamedTuple

from google.protobuf import descriptor, message, message_factory

from internal.wire.souk.v1 import order_service_pb2

Field = descriptor.FieldDescriptor
Kind = descriptor.Descriptor
SERVICE = order_service_pb2.DESCRIPTOR.services_by_name["OrderService"]
PACKAGE = "souk.v1."


class PlacedField(NamedTuple):
    """A field at one place of a request."""

    request: descriptor.Descriptor
    steps: tuple[Field, ...]

    def __str__(self) -> str:
        return f"{self.request.name}.{self.path}"

    @property
    def path(self) -> str:
        """The path of the field, without places in lists."""
        return ".".join(step.name for step in self.steps)

    @property
    def descriptor(self) -> Field:
        """The field itself."""
        return self.steps[-1]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.descriptor.name)

    @property
    def is_list(self) -> bool:
        """Tell whether it is repeated."""
        return bool(self.descriptor.is_repeated)

    @property
    def is_foreign(self) -> bool:
        """Tell whether the field is of a message that is not Souk's, and so has no rules."""
        return not self._kind.full_name.startswith(PACKAGE)

    @property
    def _kind(self) -> Kind:
        kind = self.descriptor.containing_type
        assert kind is not None
        return kind

    def request_with(self, text: str) -> message.Message:
        """Return the request with this text in the field and nothing else."""
        request = message_factory.GetMessageClass(self.request)()
        inner: message.Message = request
        for step in self.steps[:-1]:
            value = getattr(inner, step.name)
            inner = value.add() if step.is_repeated else value
        _set(inner, self.descriptor, text)
        return request

    def parent_with(self, text: str) -> message.Message:
        """Return the message that has the field, with this text in it and nothing else."""
        parent = message_factory.GetMessageClass(self._kind)()
        _set(parent, self.descriptor, text)
        return parent


def _set(parent: message.Message, field: Field, text: str) -> None:
    if field.is_repeated:
        getattr(parent, field.name).append(text)
    else:
        setattr(parent, field.name, text)


def fields() -> list[PlacedField]:
    """Return every field of every request, at any depth."""
    return [
        PlacedField(method.input_type, steps)
        for method in SERVICE.methods
        for steps in _fields(method.input_type)
    ]


def texts() -> list[PlacedField]:
    """Return every string field of every request."""
    return [field for field in fields() if field.descriptor.type == Field.TYPE_STRING]


def _fields(kind: descriptor.Descriptor) -> Iterator[tuple[Field, ...]]:
    for field in kind.fields:
        yield (field,)
        if field.message_type:
            yield from ((field, *inner) for inner in _fields(field.message_type))
