import datetime

from internal.wire.buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.type import money_pb2 as _money_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OrderState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_STATE_UNSPECIFIED: _ClassVar[OrderState]
    ORDER_STATE_PLACED: _ClassVar[OrderState]
    ORDER_STATE_ACCEPTED: _ClassVar[OrderState]
    ORDER_STATE_PAID: _ClassVar[OrderState]
    ORDER_STATE_FINALIZED: _ClassVar[OrderState]
    ORDER_STATE_REJECTED: _ClassVar[OrderState]
    ORDER_STATE_CANCELLED: _ClassVar[OrderState]
    ORDER_STATE_EXPIRED: _ClassVar[OrderState]

class ChargeState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHARGE_STATE_UNSPECIFIED: _ClassVar[ChargeState]
    CHARGE_STATE_NONE: _ClassVar[ChargeState]
    CHARGE_STATE_PENDING: _ClassVar[ChargeState]
    CHARGE_STATE_UNKNOWN: _ClassVar[ChargeState]
    CHARGE_STATE_FULL: _ClassVar[ChargeState]
    CHARGE_STATE_DECLINED: _ClassVar[ChargeState]
    CHARGE_STATE_VOIDED: _ClassVar[ChargeState]
    CHARGE_STATE_ACTION_REQUIRED: _ClassVar[ChargeState]
    CHARGE_STATE_PARTLY_AUTHORIZED: _ClassVar[ChargeState]
    CHARGE_STATE_AUTHORIZED: _ClassVar[ChargeState]
    CHARGE_STATE_PARTLY_CAPTURED: _ClassVar[ChargeState]
    CHARGE_STATE_OVERCHARGED: _ClassVar[ChargeState]
    CHARGE_STATE_OUTSTANDING: _ClassVar[ChargeState]
    CHARGE_STATE_EXPIRED: _ClassVar[ChargeState]
    CHARGE_STATE_PARTLY_REFUNDED: _ClassVar[ChargeState]
    CHARGE_STATE_REFUNDED: _ClassVar[ChargeState]
    CHARGE_STATE_DISPUTED: _ClassVar[ChargeState]

class StockState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STOCK_STATE_UNSPECIFIED: _ClassVar[StockState]
    STOCK_STATE_NONE: _ClassVar[StockState]
    STOCK_STATE_RESERVED: _ClassVar[StockState]
    STOCK_STATE_COMMITTED: _ClassVar[StockState]
    STOCK_STATE_RELEASED: _ClassVar[StockState]

class TenderKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TENDER_KIND_UNSPECIFIED: _ClassVar[TenderKind]
    TENDER_KIND_CASH: _ClassVar[TenderKind]
    TENDER_KIND_CARD: _ClassVar[TenderKind]

class Channel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANNEL_UNSPECIFIED: _ClassVar[Channel]
    CHANNEL_TILL: _ClassVar[Channel]
    CHANNEL_ONLINE: _ClassVar[Channel]
    CHANNEL_OFFLINE: _ClassVar[Channel]

class OrderCommand(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_COMMAND_UNSPECIFIED: _ClassVar[OrderCommand]
    ORDER_COMMAND_CANCEL: _ClassVar[OrderCommand]
    ORDER_COMMAND_ADD_TENDER: _ClassVar[OrderCommand]
    ORDER_COMMAND_UPDATE: _ClassVar[OrderCommand]

class OnDecline(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_DECLINE_UNSPECIFIED: _ClassVar[OnDecline]
    ON_DECLINE_REFUSE: _ClassVar[OnDecline]
    ON_DECLINE_KEEP_OPEN: _ClassVar[OnDecline]

class AdjustmentSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ADJUSTMENT_SOURCE_UNSPECIFIED: _ClassVar[AdjustmentSource]
    ADJUSTMENT_SOURCE_MANUAL: _ClassVar[AdjustmentSource]
    ADJUSTMENT_SOURCE_PROMOTION: _ClassVar[AdjustmentSource]
    ADJUSTMENT_SOURCE_COUPON: _ClassVar[AdjustmentSource]
ORDER_STATE_UNSPECIFIED: OrderState
ORDER_STATE_PLACED: OrderState
ORDER_STATE_ACCEPTED: OrderState
ORDER_STATE_PAID: OrderState
ORDER_STATE_FINALIZED: OrderState
ORDER_STATE_REJECTED: OrderState
ORDER_STATE_CANCELLED: OrderState
ORDER_STATE_EXPIRED: OrderState
CHARGE_STATE_UNSPECIFIED: ChargeState
CHARGE_STATE_NONE: ChargeState
CHARGE_STATE_PENDING: ChargeState
CHARGE_STATE_UNKNOWN: ChargeState
CHARGE_STATE_FULL: ChargeState
CHARGE_STATE_DECLINED: ChargeState
CHARGE_STATE_VOIDED: ChargeState
CHARGE_STATE_ACTION_REQUIRED: ChargeState
CHARGE_STATE_PARTLY_AUTHORIZED: ChargeState
CHARGE_STATE_AUTHORIZED: ChargeState
CHARGE_STATE_PARTLY_CAPTURED: ChargeState
CHARGE_STATE_OVERCHARGED: ChargeState
CHARGE_STATE_OUTSTANDING: ChargeState
CHARGE_STATE_EXPIRED: ChargeState
CHARGE_STATE_PARTLY_REFUNDED: ChargeState
CHARGE_STATE_REFUNDED: ChargeState
CHARGE_STATE_DISPUTED: ChargeState
STOCK_STATE_UNSPECIFIED: StockState
STOCK_STATE_NONE: StockState
STOCK_STATE_RESERVED: StockState
STOCK_STATE_COMMITTED: StockState
STOCK_STATE_RELEASED: StockState
TENDER_KIND_UNSPECIFIED: TenderKind
TENDER_KIND_CASH: TenderKind
TENDER_KIND_CARD: TenderKind
CHANNEL_UNSPECIFIED: Channel
CHANNEL_TILL: Channel
CHANNEL_ONLINE: Channel
CHANNEL_OFFLINE: Channel
ORDER_COMMAND_UNSPECIFIED: OrderCommand
ORDER_COMMAND_CANCEL: OrderCommand
ORDER_COMMAND_ADD_TENDER: OrderCommand
ORDER_COMMAND_UPDATE: OrderCommand
ON_DECLINE_UNSPECIFIED: OnDecline
ON_DECLINE_REFUSE: OnDecline
ON_DECLINE_KEEP_OPEN: OnDecline
ADJUSTMENT_SOURCE_UNSPECIFIED: AdjustmentSource
ADJUSTMENT_SOURCE_MANUAL: AdjustmentSource
ADJUSTMENT_SOURCE_PROMOTION: AdjustmentSource
ADJUSTMENT_SOURCE_COUPON: AdjustmentSource

class OrderDraft(_message.Message):
    __slots__ = ("order_id", "store_id", "terminal_id", "currency", "lines", "adjustments", "tenders", "note", "sold_at", "channel", "customer_id", "shift_id", "cashier_id", "on_decline", "hold")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    ADJUSTMENTS_FIELD_NUMBER: _ClassVar[int]
    TENDERS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    SOLD_AT_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    SHIFT_ID_FIELD_NUMBER: _ClassVar[int]
    CASHIER_ID_FIELD_NUMBER: _ClassVar[int]
    ON_DECLINE_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    store_id: str
    terminal_id: str
    currency: str
    lines: _containers.RepeatedCompositeFieldContainer[DraftLine]
    adjustments: _containers.RepeatedCompositeFieldContainer[Adjustment]
    tenders: _containers.RepeatedCompositeFieldContainer[Tender]
    note: str
    sold_at: _timestamp_pb2.Timestamp
    channel: Channel
    customer_id: str
    shift_id: str
    cashier_id: str
    on_decline: OnDecline
    hold: _duration_pb2.Duration
    def __init__(self, order_id: _Optional[str] = ..., store_id: _Optional[str] = ..., terminal_id: _Optional[str] = ..., currency: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[DraftLine, _Mapping]]] = ..., adjustments: _Optional[_Iterable[_Union[Adjustment, _Mapping]]] = ..., tenders: _Optional[_Iterable[_Union[Tender, _Mapping]]] = ..., note: _Optional[str] = ..., sold_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., channel: _Optional[_Union[Channel, str]] = ..., customer_id: _Optional[str] = ..., shift_id: _Optional[str] = ..., cashier_id: _Optional[str] = ..., on_decline: _Optional[_Union[OnDecline, str]] = ..., hold: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class DraftLine(_message.Message):
    __slots__ = ("sku", "quantity_milli", "expected_price", "line_ref", "adjustments")
    SKU_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_MILLI_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_PRICE_FIELD_NUMBER: _ClassVar[int]
    LINE_REF_FIELD_NUMBER: _ClassVar[int]
    ADJUSTMENTS_FIELD_NUMBER: _ClassVar[int]
    sku: str
    quantity_milli: int
    expected_price: _money_pb2.Money
    line_ref: str
    adjustments: _containers.RepeatedCompositeFieldContainer[Adjustment]
    def __init__(self, sku: _Optional[str] = ..., quantity_milli: _Optional[int] = ..., expected_price: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., line_ref: _Optional[str] = ..., adjustments: _Optional[_Iterable[_Union[Adjustment, _Mapping]]] = ...) -> None: ...

class Adjustment(_message.Message):
    __slots__ = ("amount", "basis_points", "source", "code", "reason_code", "allowed_by")
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    BASIS_POINTS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_CODE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_BY_FIELD_NUMBER: _ClassVar[int]
    amount: _money_pb2.Money
    basis_points: int
    source: AdjustmentSource
    code: str
    reason_code: str
    allowed_by: str
    def __init__(self, amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., basis_points: _Optional[int] = ..., source: _Optional[_Union[AdjustmentSource, str]] = ..., code: _Optional[str] = ..., reason_code: _Optional[str] = ..., allowed_by: _Optional[str] = ...) -> None: ...

class Tender(_message.Message):
    __slots__ = ("cash", "card", "amount", "tender_ref", "tip")
    CASH_FIELD_NUMBER: _ClassVar[int]
    CARD_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    TENDER_REF_FIELD_NUMBER: _ClassVar[int]
    TIP_FIELD_NUMBER: _ClassVar[int]
    cash: CashTender
    card: CardTender
    amount: _money_pb2.Money
    tender_ref: str
    tip: _money_pb2.Money
    def __init__(self, cash: _Optional[_Union[CashTender, _Mapping]] = ..., card: _Optional[_Union[CardTender, _Mapping]] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., tender_ref: _Optional[str] = ..., tip: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...

class CashTender(_message.Message):
    __slots__ = ("given",)
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    given: _money_pb2.Money
    def __init__(self, given: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...

class CardTender(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: str
    def __init__(self, token: _Optional[str] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("order_id", "store_id", "terminal_id", "currency", "state", "charge_state", "stock_state", "version", "lines", "taxes", "totals", "tenders", "receipt_number", "refusal", "price_trace", "allowed_commands", "timeline", "placed_at", "updated_at", "note", "trace_id", "sold_at", "channel", "customer_id", "shift_id", "cashier_id", "business_day", "on_decline", "hold_until", "left_to_pay")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CHARGE_STATE_FIELD_NUMBER: _ClassVar[int]
    STOCK_STATE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    TAXES_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    TENDERS_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    PRICE_TRACE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_COMMANDS_FIELD_NUMBER: _ClassVar[int]
    TIMELINE_FIELD_NUMBER: _ClassVar[int]
    PLACED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    SOLD_AT_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    SHIFT_ID_FIELD_NUMBER: _ClassVar[int]
    CASHIER_ID_FIELD_NUMBER: _ClassVar[int]
    BUSINESS_DAY_FIELD_NUMBER: _ClassVar[int]
    ON_DECLINE_FIELD_NUMBER: _ClassVar[int]
    HOLD_UNTIL_FIELD_NUMBER: _ClassVar[int]
    LEFT_TO_PAY_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    store_id: str
    terminal_id: str
    currency: str
    state: OrderState
    charge_state: ChargeState
    stock_state: StockState
    version: int
    lines: _containers.RepeatedCompositeFieldContainer[OrderLine]
    taxes: _containers.RepeatedCompositeFieldContainer[TaxBucket]
    totals: OrderTotals
    tenders: _containers.RepeatedCompositeFieldContainer[OrderTender]
    receipt_number: int
    refusal: Refusal
    price_trace: _containers.RepeatedScalarFieldContainer[str]
    allowed_commands: _containers.RepeatedScalarFieldContainer[OrderCommand]
    timeline: _containers.RepeatedCompositeFieldContainer[LogEntry]
    placed_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    note: str
    trace_id: str
    sold_at: _timestamp_pb2.Timestamp
    channel: Channel
    customer_id: str
    shift_id: str
    cashier_id: str
    business_day: int
    on_decline: OnDecline
    hold_until: _timestamp_pb2.Timestamp
    left_to_pay: _money_pb2.Money
    def __init__(self, order_id: _Optional[str] = ..., store_id: _Optional[str] = ..., terminal_id: _Optional[str] = ..., currency: _Optional[str] = ..., state: _Optional[_Union[OrderState, str]] = ..., charge_state: _Optional[_Union[ChargeState, str]] = ..., stock_state: _Optional[_Union[StockState, str]] = ..., version: _Optional[int] = ..., lines: _Optional[_Iterable[_Union[OrderLine, _Mapping]]] = ..., taxes: _Optional[_Iterable[_Union[TaxBucket, _Mapping]]] = ..., totals: _Optional[_Union[OrderTotals, _Mapping]] = ..., tenders: _Optional[_Iterable[_Union[OrderTender, _Mapping]]] = ..., receipt_number: _Optional[int] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ..., price_trace: _Optional[_Iterable[str]] = ..., allowed_commands: _Optional[_Iterable[_Union[OrderCommand, str]]] = ..., timeline: _Optional[_Iterable[_Union[LogEntry, _Mapping]]] = ..., placed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., note: _Optional[str] = ..., trace_id: _Optional[str] = ..., sold_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., channel: _Optional[_Union[Channel, str]] = ..., customer_id: _Optional[str] = ..., shift_id: _Optional[str] = ..., cashier_id: _Optional[str] = ..., business_day: _Optional[int] = ..., on_decline: _Optional[_Union[OnDecline, str]] = ..., hold_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., left_to_pay: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...

class OrderSummary(_message.Message):
    __slots__ = ("order_id", "store_id", "terminal_id", "state", "charge_state", "stock_state", "version", "total", "receipt_number", "refusal_reason", "placed_at", "updated_at")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    TERMINAL_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CHARGE_STATE_FIELD_NUMBER: _ClassVar[int]
    STOCK_STATE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_REASON_FIELD_NUMBER: _ClassVar[int]
    PLACED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    store_id: str
    terminal_id: str
    state: OrderState
    charge_state: ChargeState
    stock_state: StockState
    version: int
    total: _money_pb2.Money
    receipt_number: int
    refusal_reason: str
    placed_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    def __init__(self, order_id: _Optional[str] = ..., store_id: _Optional[str] = ..., terminal_id: _Optional[str] = ..., state: _Optional[_Union[OrderState, str]] = ..., charge_state: _Optional[_Union[ChargeState, str]] = ..., stock_state: _Optional[_Union[StockState, str]] = ..., version: _Optional[int] = ..., total: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., receipt_number: _Optional[int] = ..., refusal_reason: _Optional[str] = ..., placed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class OrderLine(_message.Message):
    __slots__ = ("line_no", "sku", "name", "quantity_milli", "unit_price", "gross", "discount", "tax", "total", "line_ref", "taxes")
    LINE_NO_FIELD_NUMBER: _ClassVar[int]
    SKU_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_MILLI_FIELD_NUMBER: _ClassVar[int]
    UNIT_PRICE_FIELD_NUMBER: _ClassVar[int]
    GROSS_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    TAX_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    LINE_REF_FIELD_NUMBER: _ClassVar[int]
    TAXES_FIELD_NUMBER: _ClassVar[int]
    line_no: int
    sku: str
    name: str
    quantity_milli: int
    unit_price: _money_pb2.Money
    gross: _money_pb2.Money
    discount: _money_pb2.Money
    tax: _money_pb2.Money
    total: _money_pb2.Money
    line_ref: str
    taxes: _containers.RepeatedCompositeFieldContainer[TaxBucket]
    def __init__(self, line_no: _Optional[int] = ..., sku: _Optional[str] = ..., name: _Optional[str] = ..., quantity_milli: _Optional[int] = ..., unit_price: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., gross: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., discount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., tax: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., total: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., line_ref: _Optional[str] = ..., taxes: _Optional[_Iterable[_Union[TaxBucket, _Mapping]]] = ...) -> None: ...

class TaxBucket(_message.Message):
    __slots__ = ("code", "rate_ppm", "inclusive", "taxable", "tax")
    CODE_FIELD_NUMBER: _ClassVar[int]
    RATE_PPM_FIELD_NUMBER: _ClassVar[int]
    INCLUSIVE_FIELD_NUMBER: _ClassVar[int]
    TAXABLE_FIELD_NUMBER: _ClassVar[int]
    TAX_FIELD_NUMBER: _ClassVar[int]
    code: str
    rate_ppm: int
    inclusive: bool
    taxable: _money_pb2.Money
    tax: _money_pb2.Money
    def __init__(self, code: _Optional[str] = ..., rate_ppm: _Optional[int] = ..., inclusive: _Optional[bool] = ..., taxable: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., tax: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...

class OrderTotals(_message.Message):
    __slots__ = ("gross", "discount", "net", "tax", "total")
    GROSS_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    NET_FIELD_NUMBER: _ClassVar[int]
    TAX_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    gross: _money_pb2.Money
    discount: _money_pb2.Money
    net: _money_pb2.Money
    tax: _money_pb2.Money
    total: _money_pb2.Money
    def __init__(self, gross: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., discount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., net: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., tax: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., total: _Optional[_Union[_money_pb2.Money, _Mapping]] = ...) -> None: ...

class OrderTender(_message.Message):
    __slots__ = ("kind", "amount", "captured", "gateway_reference", "tender_ref", "state", "given", "change", "tip", "rounding", "authorized", "voided", "refunded", "decline_code")
    KIND_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_REFERENCE_FIELD_NUMBER: _ClassVar[int]
    TENDER_REF_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    TIP_FIELD_NUMBER: _ClassVar[int]
    ROUNDING_FIELD_NUMBER: _ClassVar[int]
    AUTHORIZED_FIELD_NUMBER: _ClassVar[int]
    VOIDED_FIELD_NUMBER: _ClassVar[int]
    REFUNDED_FIELD_NUMBER: _ClassVar[int]
    DECLINE_CODE_FIELD_NUMBER: _ClassVar[int]
    kind: TenderKind
    amount: _money_pb2.Money
    captured: _money_pb2.Money
    gateway_reference: str
    tender_ref: str
    state: ChargeState
    given: _money_pb2.Money
    change: _money_pb2.Money
    tip: _money_pb2.Money
    rounding: _money_pb2.Money
    authorized: _money_pb2.Money
    voided: _money_pb2.Money
    refunded: _money_pb2.Money
    decline_code: str
    def __init__(self, kind: _Optional[_Union[TenderKind, str]] = ..., amount: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., captured: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., gateway_reference: _Optional[str] = ..., tender_ref: _Optional[str] = ..., state: _Optional[_Union[ChargeState, str]] = ..., given: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., change: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., tip: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., rounding: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., authorized: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., voided: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., refunded: _Optional[_Union[_money_pb2.Money, _Mapping]] = ..., decline_code: _Optional[str] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("reason", "explanation")
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    reason: str
    explanation: str
    def __init__(self, reason: _Optional[str] = ..., explanation: _Optional[str] = ...) -> None: ...

class LogEntry(_message.Message):
    __slots__ = ("stage", "event", "version", "state", "reason", "at")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    stage: str
    event: str
    version: int
    state: OrderState
    reason: str
    at: _timestamp_pb2.Timestamp
    def __init__(self, stage: _Optional[str] = ..., event: _Optional[str] = ..., version: _Optional[int] = ..., state: _Optional[_Union[OrderState, str]] = ..., reason: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
