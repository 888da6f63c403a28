"""The calls that are compared: to which method, what its handler does, and how each is made and read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from callers import Steps
from mirror import CODECS
from requested import Sizes

THREE = [["send", 0], ["send", 10], ["send", 1_000]]
LARGER_THAN_THE_WINDOW = 200_000

GRPC_HANGS = "give a write up and write again later"
"""What never ends now and then, bare or not: grpc may still have the write that was given up when the next begins."""


@dataclass(frozen=True)
class Row:
    """One call: to which method, what its handler does, and how it is made and read."""

    shape: str
    style: str
    way: str
    does: str
    steps: Steps
    codec: str = "note"
    more: Sizes = ()

    def __str__(self) -> str:
        return f"{self.shape} {self.style} {self.codec}, which does {self.does}, called by '{self.way}'"


def response_rows(shape: str, style: str) -> Iterator[Row]:
    """Yield the rows of a method that streams responses."""

    def row(way: str, does: str, steps: Steps, codec: str = "note") -> Row:
        return Row(shape, style, way, does, steps, codec)

    for codec in CODECS:
        yield row("async for", "send three", THREE, codec)
        yield row("read", "send three", THREE, codec)
        yield row("async for", "send 4 MB", [["send", 4_000_000], ["send", 1]], codec)
    yield row("mixed", "send two and wait", [["send", 0], ["send", 10], ["wait"]])
    for way in ("break and go on", "metadata first", "refused", "cached"):
        yield row(way, "send three", THREE, "raw" if way == "cached" else "note")
    ends = {
        "nothing": [],
        "abort at once": [["abort"]],
        "abort": [["send", 5], ["abort"]],
        "set a status": [["send", 5], ["set"]],
        "raise": [["send", 5], ["raise"]],
        "send what is no message": [["send", 5], ["bad"], ["send", 5]],
        "look at its context": [["callback"], ["look"], ["initial"], ["send", 5], ["trailing"], ["look"]],
        "compress": [["compress"], ["send", 100_000], ["uncompressed"], ["send", 100_000]],
        "compress too late": [["send", 5], ["compress"]],
    }
    for does, steps in ends.items():
        for way in ("async for", "read", "read after error"):
            yield row(way, does, steps)
    for does in ("wait", "swallow"):
        for way in ("cancel after one", "cancelled from outside"):
            yield row(way, does, [["send", 5], [does]])
    yield row("deadline", "wait", [["wait"]])
    yield row("cancel unread", "flood", [["flood", LARGER_THAN_THE_WINDOW]])
    if style == "coroutine":
        timed: Steps = [["initial"], ["timed", LARGER_THAN_THE_WINDOW, 0.02]]
        yield row("late", "give a write up", timed)
        yield row("late and cancel", "give a write up and write again", [*timed, ["send", 5]])
        yield row("late", GRPC_HANGS, [*timed, ["until read"], ["send", 5]])
        yield row("late", "give a write up and abort", [*timed, ["abort"]])
    yield row("thrown at", "catch it", [["catch", 5], ["send", 5]])
    if shape == "stream_stream":
        for way in ("async for", "read", "writes", "writes and reads in turn", "list of requests"):
            yield Row(shape, style, way, "answer each request", [["echo", 5]], more=(4, 4, 4))


def upload_rows(shape: str, style: str) -> Iterator[Row]:
    """Yield the rows of a method that is sent a stream."""
    answer = ["send", 5]

    def row(way: str, does: str, steps: Steps, more: Sizes = (0, 10, 1_000), codec: str = "note") -> Row:
        return Row(shape, style, way, does, steps, codec, more)

    for codec in CODECS:
        for does in ("each", "read"):
            yield row("async for", f"read all, by '{does}'", [[does], answer], codec=codec)
            yield row("async for", f"read 4 MB, by '{does}'", [[does], answer], (3_900_000, 1), codec)
    for way in ("writes", "list of requests", "generator of requests", "iterable requests"):
        for does in ("each", "read", "take"):
            yield row(way, f"read by '{does}'", [[does], answer])
    for way in ("async for", "writes"):
        yield row(way, "be sent none", [["each"], answer], ())
        yield row(way, "read and fail", [["each"], ["raise"]])
        yield row(way, "read and abort", [["each"], ["abort"]])
        yield row(way, "read and set a status", [["read"], ["set"], answer])
    # without end, for a server that answers while requests are still sent makes grpc fail now and then
    yield row("requests without end", "answer before it has read", [answer], (10,))
    yield row("requests without end", "raise before it has read", [["raise"]], (10,))
    yield row("requests without end", "read some, and abort", [["take"], ["abort"]], (10,) * 3)
    yield row("async for", "look at its context", [["callback"], ["look"], ["each"], answer, ["trailing"], ["look"]])
    yield row("requests that fail", "wait", [["wait"]])
    if shape == "stream_unary":
        yield row("cancelled from outside", "wait", [["wait"]], ())
    for does in ("wait", "swallow"):
        yield row("cancel while it sends", does, [[does]], (LARGER_THAN_THE_WINDOW, 1))


def rows(shape: str) -> Iterator[Row]:
    """Yield all rows of a shape."""
    if shape == "stream_unary":
        yield from upload_rows(shape, "coroutine")
        yield Row(shape, "synchronous", "async for", "answer", [["send", 5]], more=(1, 2, 3))
        return
    for style in ("generator", "coroutine"):
        yield from response_rows(shape, style)
        if shape == "stream_stream":
            yield from upload_rows(shape, style)
    if shape == "unary_stream":
        for does, steps in {"send": THREE, "abort": [["abort"]], "set": [["set"]], "raise": [["raise"]]}.items():
            yield Row(shape, "synchronous", "async for", does, steps)


def costs_much(row: Row) -> bool:
    """Tell whether a row is one of those with a large message that differ in its kind alone."""
    return "4 MB" in row.does and row.codec != "note"


def left_out(chain: str, row: Row) -> bool:
    """Tell whether a row is not tried beside these neighbours, mostly as with them it fails or hangs anyway."""
    if row.way == "deadline":
        return chain not in ("nobody", "spies in front")  # half a second each, and the same as a cancellation
    if chain not in ("nobody", "spies in front") and (row.way == "read after error" or costs_much(row)):
        return True  # the same code runs as with those
    if row.shape == "stream_unary" and row.style == "synchronous":
        return chain.startswith(("opentelemetry", "sentry"))  # they make a coroutine of it, which fails
    if row.shape == "stream_unary":
        # opentelemetry waits for the call's end before it hands the call to him who is to write into it
        return "opentelemetry" in chain and row.way in (
            "writes",
            "cancelled from outside",
            "cancel while it sends",
        )
    if row.style != "coroutine" or not chain.startswith(("opentelemetry", "sentry")):
        return False
    # both iterate all handlers, so that those which are coroutines fail at once; it must be with what is simple
    return row.way not in ("async for", "read", "refused") or bool(row.more)
