from __future__ import annotations

import itertools
import threading

from flowcontrol import DropOldestReader, Identity, Ledger, MessageLog, SendBook, Window
from flowcontrol.books.ledger import TOO_MANY

METHOD = "bytes.Bytes/Generated"


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def new_ledger(**bounds) -> tuple[Ledger[SendBook], Clock]:
    clock = Clock()
    return Ledger(SendBook, clock=clock, **bounds), clock


def sent(ledger: Ledger[SendBook], method: str = METHOD) -> float:
    return ledger.statement().methods[method]["messages"]


def test_streams_of_one_client_add_up():
    ledger, _ = new_ledger()
    for _ in range(3):
        ledger.open(METHOD, Identity("client")).add(100)
    account = ledger.statement().accounts[METHOD, "client"]
    assert account.opened_streams == 3
    assert len(account.open_books) == 3
    assert account.tally(0) == {
        "messages": 3,
        "batches": 3,
        "bytes": 300,
        "unsized": 0,
        "produced": 0,
        "dropped": 0,
        "write_blocked_seconds": 0,
    }


def test_closing_keeps_the_counts():
    ledger, _ = new_ledger()
    book = ledger.open(METHOD, Identity("client"))
    book.add(100)
    ledger.close(book)
    account = ledger.statement().accounts[METHOD, "client"]
    assert account.open_books == []
    assert account.tally(0)["messages"] == 1


def test_closing_twice_counts_once():
    ledger, _ = new_ledger()
    book = ledger.open(METHOD, Identity("client"))
    book.add(100)
    ledger.close(book)
    ledger.close(book)
    assert sent(ledger) == 1


def test_a_book_closed_in_the_middle_of_a_write_keeps_the_blocked_time():
    ledger, clock = new_ledger()
    book = ledger.open(METHOD, Identity("client"))
    book.writing.start(clock())
    clock.now = 4
    ledger.close(book)
    clock.now = 100
    assert ledger.statement().methods[METHOD]["write_blocked_seconds"] == 4


def test_methods_and_clients_are_kept_apart():
    ledger, _ = new_ledger()
    for method, client in itertools.product(("a/A", "a/B"), ("one", "two")):
        ledger.open(method, Identity(client)).add(10)
    statement = ledger.statement()
    assert set(statement.accounts) == set(itertools.product(("a/A", "a/B"), ("one", "two")))
    assert statement.methods["a/A"]["bytes"] == 20


def test_an_account_goes_away_a_while_after_its_last_stream_and_leaves_its_counts():
    ledger, clock = new_ledger(forget_after_seconds=300)
    book = ledger.open(METHOD, Identity("client"))
    book.add(100)
    clock.now = 1_000
    assert (METHOD, "client") in ledger.statement().accounts, "while a stream is open, it stays"
    ledger.close(book)
    clock.now = 1_299.9
    assert (METHOD, "client") in ledger.statement().accounts
    clock.now = 1_300
    assert ledger.statement().accounts == {}
    assert sent(ledger) == 1


def test_a_client_that_comes_back_starts_anew_and_its_method_goes_on():
    ledger, clock = new_ledger(forget_after_seconds=300)
    book = ledger.open(METHOD, Identity("client"))
    book.add(100)
    ledger.close(book)
    clock.now = 300
    ledger.open(METHOD, Identity("client")).add(100)
    assert ledger.statement().accounts[METHOD, "client"].tally(clock())["messages"] == 1
    assert sent(ledger) == 2


def test_a_client_that_reconnects_in_time_keeps_its_account():
    ledger, clock = new_ledger(forget_after_seconds=300)
    ledger.close(ledger.open(METHOD, Identity("client")))
    clock.now = 299
    book = ledger.open(METHOD, Identity("client"))
    clock.now = 700
    assert ledger.statement().accounts[METHOD, "client"].opened_streams == 2
    ledger.close(book)


def test_names_beyond_the_most_share_one_label():
    ledger, _ = new_ledger(most_clients=10)
    for number in range(500):
        ledger.open(METHOD, Identity(f"client-{number}")).add(100)
    statement = ledger.statement()
    assert len(statement.accounts) == 11
    assert statement.accounts[METHOD, TOO_MANY].tally(0)["messages"] == 490
    assert sent(ledger) == 500


def test_an_open_stream_has_its_name_however_many_names_were_invented_before():
    ledger, clock = new_ledger(most_clients=10, forget_after_seconds=300)
    kept = ledger.open(METHOD, Identity("first"))
    for number in range(5_000):
        clock.now += 0.001
        ledger.close(ledger.open(f"a/{number % 2}", Identity(f"invented-{number}")))
    honest = ledger.open(METHOD, Identity("honest"))
    assert (kept.client, honest.client) == ("first", "honest")
    accounts = ledger.statement().accounts
    assert len(accounts) == 10
    assert (METHOD, "first") in accounts
    assert ("a/1", "invented-4999") in accounts, "the oldest one went"
    assert sum(tally["messages"] for tally in ledger.statement().methods.values()) == 0


def test_what_a_forgotten_name_has_carried_stays_in_its_methods_count():
    ledger, _ = new_ledger(most_clients=1)
    for number in range(100):
        book = ledger.open(METHOD, Identity(f"invented-{number}"))
        book.add(1)
        ledger.close(book)
    assert sent(ledger) == 100


def test_a_known_name_keeps_its_label_when_there_are_too_many():
    ledger, _ = new_ledger(most_clients=2)
    books = [ledger.open(METHOD, Identity(name)) for name in ("one", "two", "three", "one")]
    assert [book.client for book in books] == ["one", "two", TOO_MANY, "one"]
    assert books[2].identity.client == "three"


def test_forgotten_names_make_room():
    ledger, clock = new_ledger(most_clients=1, forget_after_seconds=300)
    ledger.close(ledger.open(METHOD, Identity("one")))
    clock.now = 300
    assert ledger.open(METHOD, Identity("two")).client == "two"


def test_the_window_is_the_newest_streams():
    ledger, _ = new_ledger()
    windows = []
    for window in (Window(16_384), Window(None), None, Window(65_535)):
        ledger.open(METHOD, Identity("client", 1, window))
        windows.append(ledger.statement().accounts[METHOD, "client"].window_bytes)
    assert windows == [16_384, 0, 0, 65_535]


def test_a_statement_does_not_change_afterwards():
    ledger, _ = new_ledger()
    book = ledger.open(METHOD, Identity("client"))
    statement = ledger.statement()
    ledger.close(book)
    ledger.open(METHOD, Identity("another"))
    assert list(statement.accounts) == [(METHOD, "client")]
    assert len(statement.accounts[METHOD, "client"].open_books) == 1


def test_counts_never_fall_and_none_is_lost_when_scraped_from_another_thread():
    """A scrape runs in a thread of its own, while the event loop opens, counts and closes."""
    ledger: Ledger[SendBook] = Ledger(SendBook, most_clients=5, forget_after_seconds=0)
    done = threading.Event()
    seen: list[float] = []
    failures: list[Exception] = []

    def scrape() -> None:
        try:
            while not done.is_set():
                seen.append(ledger.statement().methods.get(METHOD, {}).get("messages", 0))
        except Exception as failure:
            failures.append(failure)

    scraper = threading.Thread(target=scrape)
    scraper.start()
    for number in range(3_000):
        book = ledger.open(METHOD, Identity(f"client-{number % 20}"))
        book.add(1)
        book.add(1)
        ledger.close(book)
    done.set()
    scraper.join(10)
    assert failures == []
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert sent(ledger) == 6_000


def test_the_books_of_a_statement_balance_while_another_thread_writes_into_them():
    ledger: Ledger[SendBook] = Ledger(SendBook)
    log: MessageLog[bytes] = MessageLog()
    books = [ledger.open(METHOD, Identity(f"client-{number}")) for number in range(100)]
    readers = [DropOldestReader(log, book, most_messages=3) for book in books]
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            for book, reader in zip(books, readers, strict=True):
                number += 1
                log.append("key", number, b"")
                book.in_write = len(reader.take_many(1))
                book.in_write = 0
                book.add(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(30):
            statement = ledger.statement()
            for account in statement.accounts.values():
                (book,) = account.open_books
                tally = account.tally(statement.now)
                assert tally["produced"] == tally["messages"] + tally["dropped"] + book.waiting
                assert tally["messages"] == book.messages
                assert tally["dropped"] > 0 or tally["produced"] < 110
    finally:
        done.set()
        writer.join(10)
    assert sum(book.messages for book in books) == sent(ledger) > 1_000
