"""Open the books of a stream that a client begins: who it is, and who is to look at it from then on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from flowcontrol.books.book import ReceiveBook, SendBook
from flowcontrol.books.ledger import Ledger
from flowcontrol.identity import INVALID, Identity, method_of
from flowcontrol.window import Window


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
        *,
        uploads: Ledger[ReceiveBook] | None = None,
        window: Window | None = None,
    ) -> None:
        self._ledger = ledger
        self._uploads = uploads
        self._watch = watch
        self._name_of = name_of
        self._window = window
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

    def open_upload(self, details: Any, context: Any, sent: SendBook | None) -> ReceiveBook | None:
        """Return the book of a call's requests; `sent` is that of its responses. None: there can be none."""
        if self._uploads is None:
            return None
        try:
            if sent is None:
                identity = self._named(Identity.declared_in(details.invocation_metadata), context)
            else:
                identity = sent.identity
            return self._uploads.open(method_of(details), replace(identity, window=self._window))
        except Exception:
            self._ledger.faults.note("an upload begins")
            return None

    def _named(self, identity: Identity, context: Any) -> Identity:
        if self._name_of is None:
            return identity
        try:
            name = self._name_of(context, identity.client)
        except Exception:
            self._ledger.faults.note("a client is named")
            name = INVALID  # a name that is to be proved does not count unproved
        return identity if name is None else replace(identity, client=name)
