"""The kinds of metrics: how each is declared, and read off a ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias

from flowcontrol.books.book import Tally
from flowcontrol.books.ledger import Account, BookType, Ledger


@dataclass(frozen=True)
class AccountMetric(Generic[BookType]):
    """A metric with the labels `method` and `client`, and how to read it off a client's account; None: not known."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    read: Callable[[Account[BookType], float], float | None]
    labels: tuple[str, ...] = ("method", "client")


@dataclass(frozen=True)
class SplitMetric(Generic[BookType]):
    """A metric as `AccountMetric`, with one label more; `read` returns a figure for each of that label's values."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    label: str
    read: Callable[[Account[BookType], float], Mapping[str, float]]

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of all labels."""
        return ("method", "client", self.label)


@dataclass(frozen=True)
class MethodMetric:
    """A counter with the label `method`: the counts of all clients, forgotten ones too."""

    name: str
    help: str
    read: Callable[[Tally], float | None]
    kind: Literal["counter"] = "counter"
    labels: tuple[str, ...] = ("method",)


@dataclass(frozen=True)
class LedgerMetric:
    """A counter without labels, and how to read it off the ledger."""

    name: str
    help: str
    read: Callable[[Ledger[Any]], float]
    kind: Literal["counter"] = "counter"
    labels: tuple[str, ...] = ()


DeclaredMetric: TypeAlias = AccountMetric[BookType] | SplitMetric[BookType] | MethodMetric | LedgerMetric


def total(tally: str) -> Callable[[Account[Any], float], float]:
    """Return how to read a count off an account."""
    return lambda account, now: account.tally(now).get(tally, 0)


def known_bytes(tally: Tally) -> float | None:
    """Return the bytes on the wire; None where those of some message are not known."""
    return None if tally.get("unsized") else tally.get("bytes", 0)


def open_bytes(account: Account[Any]) -> float | None:
    """Return the bytes on the wire of the open streams; None where those of some message are not known."""
    if any(book.unsized for book in account.open_books):
        return None
    return float(sum(book.wire_bytes for book in account.open_books))
