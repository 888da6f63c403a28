"""Wait for a writer that is held back, at whichever end."""

from __future__ import annotations

from flowcontrol import Ledger, SendBook

from waiting import until

WINDOWS = (16_384, 65_535, 262_144, 1_048_576)
MESSAGES = (95, 1_000, 10_000)
"""Sizes of windows and messages that are tried with each other, in bytes."""

LARGE_MESSAGES = MESSAGES[1:]
"""For windows of many MiB, into which go tens of thousands of small ones."""

BLOCKED_SECONDS = 0.05
"""A single write that has waited for so long is blocked: an unblocked one takes 0.0001 s."""

LOOKS = 5
"""Looks in succession that must find the same write blocked: a machine may also have stood still for a while."""


async def sent_when_blocked(ledger: Ledger[SendBook], at_least: int = 0) -> int:
    """Return how many messages the only stream has been sent, once they are `at_least` and its writer is blocked."""
    looks: list[int] = []

    def state() -> tuple[int, int]:
        books = ledger.open_books()
        sent = books[0].messages if books else 0
        blocked = bool(books) and books[0].writing.lap_seconds(ledger.clock()) > BLOCKED_SECONDS
        if not blocked or sent not in looks[-1:]:
            looks.clear()
        if blocked:
            looks.append(sent)
        return sent, len(looks)

    sent, _ = await until(
        state,
        lambda state: state[0] >= at_least and state[1] >= LOOKS,
        within_seconds=30,
        what=f"{at_least} sent and a blocked write",
    )
    return sent
