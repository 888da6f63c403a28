"""Where a stream begins to read: at the head, or where its client stopped."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowcontrol.log.message_log import MessageLog

Stopped = Mapping[Any, int]
"""For each key the number of the last message that a client has read."""


@dataclass(slots=True)
class Start:
    """The place at which a reader begins, and what its client has of what stands behind it."""

    place: int
    origin: int
    """The head less this is how many messages there have been for the stream, those lost included."""
    has: dict[Hashable, int] = field(default_factory=dict)
    """Of these keys the client has the messages up to this number, and some of them stand behind the place."""
    ahead: dict[Hashable, tuple[int, int]] = field(default_factory=dict)
    """Of these keys it has messages that the log has not got yet: up to which, and the newest one in the log."""
    lost: int = 0
    """Messages that the client has not got, and that the log does not keep any more."""


def at_head(log: MessageLog[Any]) -> Start:
    """Begin with the next message to come. To be called with the log's lock."""
    return Start(log.head, log.head)


def where_stopped(log: MessageLog[Any], stopped: Stopped) -> Start:
    """Begin with the first message that a client has not got. To be called with the log's lock.

    Keys that the client does not name go on behind the last message that it has read, as far as the log knows where
    that stands; names that the log has never had say nothing.
    """
    known = {key: number for key, number in stopped.items() if key in log.keys}
    read = [position for key, number in known.items() if (position := log.keys[key].position_of(number)) is not None]
    since = max(read) + 1 if read else log.first
    start = Start(log.head, log.head)
    for key, state in log.keys.items():
        first, newest = state.first_number, state.newest.number
        has = known[key] if key in known else state.number_at(since) - 1
        if has < newest:
            wanted = state.position_of(max(has + 1, first))
            start.place = min(start.place, start.place if wanted is None else wanted)
            start.origin -= newest - has
            start.lost += max(0, first - has - 1)
        elif has > newest:
            start.ahead[key] = (has, newest)
        start.has[key] = has
    start.has = {k: has for k, has in start.has.items() if k in start.ahead or _stands_behind(log, k, has, start.place)}
    return start


def newest_of_each(log: MessageLog[Any], stopped: Stopped) -> tuple[Start, list[Hashable]]:
    """Begin with the newest message of each key that a client has not got; return those keys, too.

    Of a key that it does not name it has not got any. To be called with the log's lock.
    """
    start = at_head(log)
    waiting = []
    for key, state in log.keys.items():
        newest = state.newest.number
        has = stopped.get(key, newest - 1)
        if has < newest:
            waiting.append(key)
            start.origin -= newest - has
        elif has > newest:
            start.ahead[key] = (has, newest)
            start.has[key] = has
    return start, waiting


def _stands_behind(log: MessageLog[Any], key: Hashable, number: int, place: int) -> bool:
    position = log.keys[key].position_of(number)
    return position is not None and position >= place
