"""A client's call whose messages are measured as they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flowcontrol.sync.meter import LockedReceiveMeter
from flowcontrol.sync.proxy import Proxy


class MeasuredCall(Proxy):
    """A call of a response stream, of whichever class it is: grpc's own, or the generator of a neighbour."""

    __slots__ = ("_flowcontrol_has_end", "_flowcontrol_meter")

    _flowcontrol_has_end: bool
    _flowcontrol_meter: LockedReceiveMeter

    def __init__(self, call: Any, meter: LockedReceiveMeter, has_end: bool) -> None:
        super().__init__(call)
        object.__setattr__(self, "_flowcontrol_meter", meter)
        object.__setattr__(self, "_flowcontrol_has_end", has_end)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._flowcontrol_original, name)
        return self.__next__ if name == "next" else attribute

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        meter = self._flowcontrol_meter
        meter.begin()
        try:
            message = next(self._flowcontrol_original)
        except Exception:  # no more will come
            meter.end()
            meter.ended()
            raise
        except BaseException:
            meter.ended()
            raise
        meter.received(message)
        return message

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Register a callback for the end of the call; it is given this call in place of the original."""
        call = self._flowcontrol_original
        call.add_done_callback(lambda given: callback(self if given is call else given))

    def __del__(self) -> None:
        if not self._flowcontrol_has_end:
            self._flowcontrol_meter.end()
