"""All the books of one end: open streams by method and client, and what closed ones have left behind."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from flowcontrol.books.book import Book, Tally
from flowcontrol.books.faults import Faults
from flowcontrol.identity import Identity

TOO_MANY = "other"
"""Label of the clients beyond `most_clients`, and of the methods beyond `most_methods`."""

LOOK_AGAIN_SECONDS = 0.001
"""Time for the other thread to end its change."""
MOST_LOOKS = 10
"""How often a statement looks again at the books that another thread was changing when it looked."""

BookType = TypeVar("BookType", bound=Book)


@dataclass(slots=True)
class Account(Generic[BookType]):
    """What the streams of one client on one method have carried, the closed ones and the open ones."""

    closed: Tally = field(default_factory=dict)
    opened_streams: int = 0
    window_bytes: int = 0
    """Receive window that the client's newest stream declared; 0: autotuned, or not declared."""
    open_books: list[BookType] = field(default_factory=list[BookType])
    idle_since: float = 0.0
    total: Tally | None = None
    """Of an account in a statement: the counts of all its streams."""

    def tally(self, now: float) -> Tally:
        """Return the counts of all its streams; they never fall while the account lives."""
        if self.total is not None:
            return self.total
        total = dict(self.closed)
        for book in self.open_books:
            add_up(total, book.tally(now))
        return total

    def snapshot(self, now: float) -> Account[BookType]:
        """Return a copy that no stream changes any more."""
        taken = replace(self, closed=dict(self.closed), open_books=[book.snapshot() for book in self.open_books])
        taken.total = taken.tally(now)
        return taken

    @property
    def balances(self) -> bool:
        """Tell whether all its open books balance."""
        return all(book.balances for book in self.open_books)


@dataclass(frozen=True)
class Statement(Generic[BookType]):
    """A ledger at one moment: each of its books balances, and changes no more."""

    now: float
    accounts: dict[tuple[str, str], Account[BookType]]
    """By (method, client): the clients with a stream open, or closed a short while ago."""
    methods: dict[str, Tally]
    """By method: the counts of all clients, the forgotten ones included."""


class Ledger(Generic[BookType]):
    """Opens and closes books, and bounds how many accounts there are.

    At most `most_clients` names have an account at one time; further ones share `TOO_MANY`. An account goes away
    `forget_after_seconds` after its last stream has closed, or sooner where a new name needs its place: a stream that
    is open comes before one that is only remembered. Its counts stay in the method's. The first `most_methods` methods
    are kept apart, for a handler may answer any name; further ones share `TOO_MANY`. May be read from another thread
    than the one that writes.
    """

    def __init__(
        self,
        book_type: type[BookType],
        *,
        most_clients: int = 1_000,
        most_methods: int = 200,
        forget_after_seconds: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self.faults = Faults()
        """What has gone wrong inside of measuring the streams of this ledger."""
        self._book_type = book_type
        self._most_clients = most_clients
        self._most_methods = most_methods
        self._methods: set[str] = set()
        self._forget_after_seconds = forget_after_seconds
        self._accounts: dict[tuple[str, str], Account[BookType]] = {}
        self._forgotten: dict[str, Tally] = {}
        self._lock = threading.Lock()

    def open(self, method: str, identity: Identity) -> BookType:
        """Return a new book for a stream that begins."""
        return self._open(method, identity, opened_streams=1)

    def go_on(self, book: BookType) -> BookType:
        """Return a new book for a stream whose own has been closed, and which goes on all the same."""
        return self._open(book.method, book.identity, opened_streams=0)

    def _open(self, method: str, identity: Identity, opened_streams: int) -> BookType:
        now = self.clock()
        with self._lock:
            self._forget(now)
            if method not in self._methods:
                if len(self._methods) < self._most_methods:
                    self._methods.add(method)
                else:
                    method = TOO_MANY
            client = self._label(identity.client)
            account = self._accounts.setdefault((method, client), Account())
            book = self._book_type(method=method, identity=identity, client=client, opened_at=now)
            account.opened_streams += opened_streams
            account.window_bytes = (identity.window and identity.window.size_bytes) or 0
            account.open_books.append(book)
        return book

    def close(self, book: BookType) -> None:
        """Keep the counts of a stream that has ended, once however often it is called."""
        now = self.clock()
        with self._lock:
            account = self._accounts.get((book.method, book.client))
            if account is None or book not in account.open_books:
                return
            account.open_books.remove(book)
            book.close()
            add_up(account.closed, book.tally(now))
            account.idle_since = now

    def open_books(self) -> list[BookType]:
        """Return the books of all streams that are open now."""
        with self._lock:
            return [book for account in self._accounts.values() for book in account.open_books]

    def statement(self) -> Statement[BookType]:
        """Return the state of all accounts now."""
        now = self.clock()
        with self._lock:
            self._forget(now)
            accounts = {key: account.snapshot(now) for key, account in self._accounts.items()}
            methods = {method: dict(tally) for method, tally in self._forgotten.items()}
        for _ in range(MOST_LOOKS):
            torn = [key for key, account in accounts.items() if not account.balances]
            if not torn:
                break
            time.sleep(LOOK_AGAIN_SECONDS)  # without the lock: who is in the middle of a change goes on
            with self._lock:
                accounts.update({key: self._accounts[key].snapshot(now) for key in torn if key in self._accounts})
        for (method, _), account in accounts.items():
            add_up(methods.setdefault(method, {}), account.tally(now))
        return Statement(now, accounts, methods)

    def _label(self, client: str) -> str:
        known = {label for _, label in self._accounts} - {TOO_MANY}
        if client in known or len(known) < self._most_clients or self._make_room():
            return client
        return TOO_MANY

    def _make_room(self) -> bool:
        """Forget the client that has been without a stream for the longest time; return whether there is one."""
        idle_since: dict[str, float] = {}
        for (_, label), account in self._accounts.items():
            since = math.inf if account.open_books else account.idle_since
            idle_since[label] = max(since, idle_since.get(label, since))
        idle_since.pop(TOO_MANY, None)
        oldest = min(idle_since, key=idle_since.__getitem__)
        if idle_since[oldest] == math.inf:
            return False
        for key in [key for key in self._accounts if key[1] == oldest]:
            self._remove(key)
        return True

    def _forget(self, now: float) -> None:
        for key, account in list(self._accounts.items()):
            if not account.open_books and now - account.idle_since >= self._forget_after_seconds:
                self._remove(key)

    def _remove(self, key: tuple[str, str]) -> None:
        account = self._accounts.pop(key)
        add_up(self._forgotten.setdefault(key[0], {}), account.closed)


def add_up(total: Tally, more: Tally) -> None:
    """Add the counts of `more` to `total`."""
    for name, count in more.items():
        total[name] = total.get(name, 0) + count
