import datetime

from internal.wire.buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from internal.wire.souk.v1 import order_pb2 as _order_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WaitFor(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WAIT_FOR_UNSPECIFIED: _ClassVar[WaitFor]
    WAIT_FOR_ACCEPTED: _ClassVar[WaitFor]
    WAIT_FOR_FINALIZED: _ClassVar[WaitFor]

class CommandOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMMAND_OUTCOME_UNSPECIFIED: _ClassVar[CommandOutcome]
    COMMAND_OUTCOME_DONE: _ClassVar[CommandOutcome]
    COMMAND_OUTCOME_WAITING: _ClassVar[CommandOutcome]
WAIT_FOR_UNSPECIFIED: WaitFor
WAIT_FOR_ACCEPTED: WaitFor
WAIT_FOR_FINALIZED: WaitFor
COMMAND_OUTCOME_UNSPECIFIED: CommandOutcome
COMMAND_OUTCOME_DONE: CommandOutcome
COMMAND_OUTCOME_WAITING: CommandOutcome

class SubmitOrderRequest(_message.Message):
    __slots__ = ("order", "wait_for")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    WAIT_FOR_FIELD_NUMBER: _ClassVar[int]
    order: _order_pb2.OrderDraft
    wait_for: WaitFor
    def __init__(self, order: _Optional[_Union[_order_pb2.OrderDraft, _Mapping]] = ..., wait_for: _Optional[_Union[WaitFor, str]] = ...) -> None: ...

class SubmitOrderResponse(_message.Message):
    __slots__ = ("order_id", "state", "version", "replayed", "order")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    state: _order_pb2.OrderState
    version: int
    replayed: bool
    order: _order_pb2.Order
    def __init__(self, order_id: _Optional[str] = ..., state: _Optional[_Union[_order_pb2.OrderState, str]] = ..., version: _Optional[int] = ..., replayed: _Optional[bool] = ..., order: _Optional[_Union[_order_pb2.Order, _Mapping]] = ...) -> None: ...

class SubmitOrdersRequest(_message.Message):
    __slots__ = ("orders",)
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[_order_pb2.OrderDraft]
    def __init__(self, orders: _Optional[_Iterable[_Union[_order_pb2.OrderDraft, _Mapping]]] = ...) -> None: ...

class SubmitOrdersResponse(_message.Message):
    __slots__ = ("verdicts",)
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    verdicts: _containers.RepeatedCompositeFieldContainer[OrderVerdict]
    def __init__(self, verdicts: _Optional[_Iterable[_Union[OrderVerdict, _Mapping]]] = ...) -> None: ...

class OrderVerdict(_message.Message):
    __slots__ = ("order_id", "accepted", "refused")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    accepted: PlacedOrder
    refused: _status_pb2.Status
    def __init__(self, order_id: _Optional[str] = ..., accepted: _Optional[_Union[PlacedOrder, _Mapping]] = ..., refused: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class PlacedOrder(_message.Message):
    __slots__ = ("state", "version", "replayed")
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    state: _order_pb2.OrderState
    version: int
    replayed: bool
    def __init__(self, state: _Optional[_Union[_order_pb2.OrderState, str]] = ..., version: _Optional[int] = ..., replayed: _Optional[bool] = ...) -> None: ...

class GetOrderRequest(_message.Message):
    __slots__ = ("order_id",)
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    def __init__(self, order_id: _Optional[str] = ...) -> None: ...

class GetOrderResponse(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: _order_pb2.Order
    def __init__(self, order: _Optional[_Union[_order_pb2.Order, _Mapping]] = ...) -> None: ...

class ListOrdersRequest(_message.Message):
    __slots__ = ("states", "store_id", "placed_after", "placed_before", "page_size", "page_token")
    STATES_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    PLACED_AFTER_FIELD_NUMBER: _ClassVar[int]
    PLACED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[_order_pb2.OrderState]
    store_id: str
    placed_after: _timestamp_pb2.Timestamp
    placed_before: _timestamp_pb2.Timestamp
    page_size: int
    page_token: str
    def __init__(self, states: _Optional[_Iterable[_Union[_order_pb2.OrderState, str]]] = ..., store_id: _Optional[str] = ..., placed_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., placed_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListOrdersResponse(_message.Message):
    __slots__ = ("orders", "next_page_token")
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[_order_pb2.OrderSummary]
    next_page_token: str
    def __init__(self, orders: _Optional[_Iterable[_Union[_order_pb2.OrderSummary, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchOrderRequest(_message.Message):
    __slots__ = ("order_id", "from_version")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_VERSION_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    from_version: int
    def __init__(self, order_id: _Optional[str] = ..., from_version: _Optional[int] = ...) -> None: ...

class WatchOrderResponse(_message.Message):
    __slots__ = ("entry", "order")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    entry: _order_pb2.LogEntry
    order: _order_pb2.Order
    def __init__(self, entry: _Optional[_Union[_order_pb2.LogEntry, _Mapping]] = ..., order: _Optional[_Union[_order_pb2.Order, _Mapping]] = ...) -> None: ...

class CancelOrderRequest(_message.Message):
    __slots__ = ("order_id", "request_id", "reason")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    request_id: str
    reason: str
    def __init__(self, order_id: _Optional[str] = ..., request_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class CancelOrderResponse(_message.Message):
    __slots__ = ("order_id", "state", "version", "outcome", "replayed")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    state: _order_pb2.OrderState
    version: int
    outcome: CommandOutcome
    replayed: bool
    def __init__(self, order_id: _Optional[str] = ..., state: _Optional[_Union[_order_pb2.OrderState, str]] = ..., version: _Optional[int] = ..., outcome: _Optional[_Union[CommandOutcome, str]] = ..., replayed: _Optional[bool] = ...) -> None: ...

class UpdateOrderRequest(_message.Message):
    __slots__ = ("order_id", "request_id", "currency", "lines", "adjustments", "expected_version")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    ADJUSTMENTS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    request_id: str
    currency: str
    lines: _containers.RepeatedCompositeFieldContainer[_order_pb2.DraftLine]
    adjustments: _containers.RepeatedCompositeFieldContainer[_order_pb2.Adjustment]
    expected_version: int
    def __init__(self, order_id: _Optional[str] = ..., request_id: _Optional[str] = ..., currency: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[_order_pb2.DraftLine, _Mapping]]] = ..., adjustments: _Optional[_Iterable[_Union[_order_pb2.Adjustment, _Mapping]]] = ..., expected_version: _Optional[int] = ...) -> None: ...

class UpdateOrderResponse(_message.Message):
    __slots__ = ("order_id", "state", "version", "outcome", "replayed", "order")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    state: _order_pb2.OrderState
    version: int
    outcome: CommandOutcome
    replayed: bool
    order: _order_pb2.Order
    def __init__(self, order_id: _Optional[str] = ..., state: _Optional[_Union[_order_pb2.OrderState, str]] = ..., version: _Optional[int] = ..., outcome: _Optional[_Union[CommandOutcome, str]] = ..., replayed: _Optional[bool] = ..., order: _Optional[_Union[_order_pb2.Order, _Mapping]] = ...) -> None: ...

class QuoteOrderRequest(_message.Message):
    __slots__ = ("store_id", "currency", "lines", "adjustments")
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    ADJUSTMENTS_FIELD_NUMBER: _ClassVar[int]
    store_id: str
    currency: str
    lines: _containers.RepeatedCompositeFieldContainer[_order_pb2.DraftLine]
    adjustments: _containers.RepeatedCompositeFieldContainer[_order_pb2.Adjustment]
    def __init__(self, store_id: _Optional[str] = ..., currency: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[_order_pb2.DraftLine, _Mapping]]] = ..., adjustments: _Optional[_Iterable[_Union[_order_pb2.Adjustment, _Mapping]]] = ...) -> None: ...

class QuoteOrderResponse(_message.Message):
    __slots__ = ("lines", "taxes", "totals", "price_trace")
    LINES_FIELD_NUMBER: _ClassVar[int]
    TAXES_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    PRICE_TRACE_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[_order_pb2.OrderLine]
    taxes: _containers.RepeatedCompositeFieldContainer[_order_pb2.TaxBucket]
    totals: _order_pb2.OrderTotals
    price_trace: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, lines: _Optional[_Iterable[_Union[_order_pb2.OrderLine, _Mapping]]] = ..., taxes: _Optional[_Iterable[_Union[_order_pb2.TaxBucket, _Mapping]]] = ..., totals: _Optional[_Union[_order_pb2.OrderTotals, _Mapping]] = ..., price_trace: _Optional[_Iterable[str]] = ...) -> None: ...
