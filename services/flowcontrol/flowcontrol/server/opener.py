"""Open the book of a stream that a client begins: who it is, and who is to look at it from then on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from flowcontrol.books.book import SendBook
from flowcontrol.books.ledger import Ledger
from flowcontrol.identity import INVALID, Identity, method_of


class Watch(Protocol):
    """What looks at a stream until it is closed."""

    def watch(self, book: SendBook) -> None:
        """Begin to look at a stream."""


class Opener:
    """Opens books in a ledger. Never raises: a book that cannot be opened there is in none."""

    def __init__(
        self,
        ledger: Ledger[SendBook],
        watch: Watch,
        name_of: Callable[[Any, str], str | None] | None,
        compressed: bool,
    ) -> None:
        self._ledger = ledger
        self._watch = watch
        self._name_of = name_of
        self._compressed = compressed

    def open(self, details: Any, context: Any) -> SendBook:
        """Return the book of the call that has these details, and this context."""
        try:
            identity = self._named(Identity.declared_in(details.invocation_metadata), context)
            book = self._ledger.open(method_of(details), identity)
        except Exception:
            self._ledger.faults.note("a stream begins")
            return SendBook(method="", identity=Identity(), client="", opened_at=0.0)
        book.compressed = self._compressed
        try:
            book.peer = context.peer()
            self._watch.watch(book)
        except Exception:
            self._ledger.faults.note("a stream begins")
        return book

    def _named(self, identity: Identity, context: Any) -> Identity:
        if self._name_of is None:
            return identity
        try:
            name = self._name_of(context, identity.client)
        except Exception:
            self._ledger.faults.note("a client is named")
            name = INVALID  # a name that is to be proved does not count unproved
        return identity if name is None else replace(identity, client=name)
