from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EmptyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StockUpdate(_message.Message):
    __slots__ = ("ticker", "price", "change", "change_percent", "volume", "open_price", "high_price", "low_price", "market_cap", "timestamp", "sequence", "padding")
    TICKER_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_PERCENT_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    OPEN_PRICE_FIELD_NUMBER: _ClassVar[int]
    HIGH_PRICE_FIELD_NUMBER: _ClassVar[int]
    LOW_PRICE_FIELD_NUMBER: _ClassVar[int]
    MARKET_CAP_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PADDING_FIELD_NUMBER: _ClassVar[int]
    ticker: str
    price: float
    change: float
    change_percent: float
    volume: int
    open_price: float
    high_price: float
    low_price: float
    market_cap: int
    timestamp: str
    sequence: int
    padding: bytes
    def __init__(self, ticker: _Optional[str] = ..., price: _Optional[float] = ..., change: _Optional[float] = ..., change_percent: _Optional[float] = ..., volume: _Optional[int] = ..., open_price: _Optional[float] = ..., high_price: _Optional[float] = ..., low_price: _Optional[float] = ..., market_cap: _Optional[int] = ..., timestamp: _Optional[str] = ..., sequence: _Optional[int] = ..., padding: _Optional[bytes] = ...) -> None: ...

class StockUpdateBatch(_message.Message):
    __slots__ = ("updates",)
    UPDATES_FIELD_NUMBER: _ClassVar[int]
    updates: _containers.RepeatedCompositeFieldContainer[StockUpdate]
    def __init__(self, updates: _Optional[_Iterable[_Union[StockUpdate, _Mapping]]] = ...) -> None: ...

class ResumeFrom(_message.Message):
    __slots__ = ("source", "sequences")
    class SequencesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    source: str
    sequences: _containers.ScalarMap[str, int]
    def __init__(self, source: _Optional[str] = ..., sequences: _Optional[_Mapping[str, int]] = ...) -> None: ...
