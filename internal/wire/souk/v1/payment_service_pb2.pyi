from internal.wire.buf.validate import validate_pb2 as _validate_pb2
from google.type import money_pb2 as _money_pb2
from internal.wire.souk.v1 import order_pb2 as _order_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AddTenderRequest(_message.Message):
    __slots__ = ("order_id", "request_id", "currency", "tender")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    TENDER_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    request_id: str
    currency: str
    tender: _order_pb2.Tender
    def __init__(self, order_id: _Optional[str] = ..., request_id: _Optional[str] = ..., currency: _Optional[str] = ..., tender: _Optional[_Union[_order_pb2.Tender, _Mapping]] = ...) -> None: ...

class AddTenderResponse(_message.Message):
    __slots__ = ("payment", "replayed")
    PAYMENT_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    payment: Payment
    replayed: bool
    def __init__(self, payment: _Optional[_Union[Payment, _Mapping]] = ..., replayed: _Optional[bool] = ...) -> None: ...

class GetPaymentRequest(_message.Message):
    __slots__ = ("order_id", "tender_ref")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    TENDER_REF_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    tender_ref: str
    def __init__(self, order_id: _Optional[str] = ..., tender_ref: _Optional[str] = ...) -> None: ...

class GetPaymentResponse(_message.Message):
    __slots__ = ("payment",)
    PAYMENT_FIELD_NUMBER: _ClassVar[int]
    payment: Payment
    def __init__(self, payment: _Optional[_Union[Payment, _Mapping]] = ...) -> None: ...

class Payment(_message.Message):
    __slots__ = ("order_id", "tender", "order_state", "order_charge_state", "order_version", "left_to_pay")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    TENDER_FIELD_NUMBER: _ClassVar[int]
    ORDER_STATE_FIELD_NUMBER: _ClassVar[int]
    ORDER_CHARGE_STATE_FIELD_NUMBER: _ClassVar[int]
    ORDER_VERSION_FIELD_NUMBER: _ClassVar[int]
    LEFT_TO_PAY_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    tender: _order_pb2.OrderTender
    order_state: _order_pb2.OrderState
    order_charge_state: _order_pb2.ChargeState
    order_version: int
    left_to_pay: _money_pb2.Money
    def __init__(self, order_id: _Optional[str] = ..., tender: _Optional[_Union[_order_pb2.OrderTender, _Mapping]] = ..., order_state: _Optional[_Union[_order_pb2.OrderState, str]] = ..., order_charge_state: _Optional[_Union[_order_pb2.ChargeState, str]] = ..., order_version: _Optional[int] = ..., left_to_pay: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...
