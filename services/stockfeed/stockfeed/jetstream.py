"""A stream of NATS JetStream with all updates, in order.

This and `connection` know NATS, and nothing else does. A connection lives until something is wrong with it; whoever
uses one opens another, after a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    Header,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError

from stockfeed.address import subject_of, subjects_of
from stockfeed.bounds import StreamBounds
from stockfeed.connection import FeedError, StreamRefusedError, connected, told

ANSWER_SECONDS = 5.0
HEARTBEAT_SECONDS = 1.0
"""So often NATS tells a reader that nothing has come; one that hears nothing for three times as long is cut off."""
UNREAD_MESSAGES, UNREAD_BYTES = 65_536, 128 * 2**20
"""A reader that leaves more unread would lose some; NATS' flow control keeps it from that."""
UPDATES_A_TURN = 500
"""So many are handed on at once, so that others get a turn of the event loop."""


@dataclass(frozen=True)
class StreamState:
    """A stream at one moment."""

    source_id: str
    """Another one where it has been deleted and made anew: its numbers begin anew then."""
    first: int
    """Sequence of the oldest message that it keeps."""
    last: int
    """Sequence of its newest message, also where that is not kept any more; 0: there has been none."""
    messages: int
    bytes: int


class Stream:
    """A stream, over one connection."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._jetstream = client.jetstream(timeout=ANSWER_SECONDS)
        self._name = name

    async def state(self) -> StreamState:
        """Return what is there. Raises FeedError."""
        with told(self._name):
            info = await self._jetstream.stream_info(self._name)
        if info.config.subjects != [subjects_of(self._name)]:
            raise StreamRefusedError(
                f"{self._name} there is no stream of stock-market's, it has {info.config.subjects}"
            )
        made_at = 0 if info.created is None else round(info.created.timestamp() * 1e6)
        state = info.state
        return StreamState(
            f"{self._name}-{made_at}", int(state.first_seq), int(state.last_seq), int(state.messages), int(state.bytes)
        )

    async def ensure(self, bounds: StreamBounds) -> None:
        """Make the stream, or give it these bounds. Raises FeedError, StreamRefusedError."""
        config = StreamConfig(
            name=self._name,
            description="stock updates of stock-market, a subject for each ticker",
            subjects=[subjects_of(self._name)],
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_msgs=bounds.updates,
            max_bytes=bounds.bytes,
            max_age=bounds.age_seconds,
            num_replicas=bounds.replicas,
            duplicate_window=min(120.0, bounds.age_seconds or 120.0),
            allow_direct=True,
        )
        with told(self._name):
            try:
                await self._jetstream.stream_info(self._name)
            except NotFoundError:
                await self._jetstream.add_stream(config)
            else:
                await self.state()
                await self._jetstream.update_stream(config)

    async def newest_of(self, ticker: str) -> bytes | None:
        """Return the newest update of a ticker; None where the stream keeps none. Raises FeedError."""
        with told(self._name):
            try:
                message = await self._jetstream.get_last_msg(self._name, subject_of(self._name, ticker), direct=True)
            except NotFoundError:
                return None
        return message.data or b""

    async def publish(self, updates: Sequence[tuple[str, int, bytes]], after: int) -> int:
        """Store updates, each with its ticker and number, right behind the message of that sequence, and in order.

        Return the sequence of the last. Raises OvertakenError where something else stands there, and FeedError: then it
        is not known which of them are stored.
        """
        sending = []
        for place, (ticker, number, update) in enumerate(updates, start=after):
            headers = {
                Header.MSG_ID.value: f"{ticker}-{number}",
                Header.EXPECTED_LAST_SEQUENCE.value: str(place),
                Header.EXPECTED_STREAM.value: self._name,
            }
            # not publish_async: nats-py 2.16 never tells it that JetStream refuses
            sending.append(self._jetstream.publish(subject_of(self._name, ticker), update, headers=headers))
        stored = await asyncio.gather(*sending, return_exceptions=True)
        with told(self._name):
            for each in stored:
                if isinstance(each, BaseException):
                    raise each
                last = int(each.seq)
        return last

    async def read(self, after: int) -> AsyncIterator[list[tuple[int, bytes]]]:
        """Yield what has come behind a message, sequences and updates, for ever. Raises FeedError where that ends."""
        incoming: asyncio.Queue[Msg] = asyncio.Queue()
        inbox = self._client.new_inbox()
        expected = 1
        with told(self._name):
            subscription = await self._client.subscribe(
                inbox, cb=incoming.put, pending_msgs_limit=UNREAD_MESSAGES, pending_bytes_limit=UNREAD_BYTES
            )
            try:
                await self._jetstream.add_consumer(self._name, _consumer(inbox, after))
                while True:
                    async with asyncio.timeout(3 * HEARTBEAT_SECONDS):
                        message = await incoming.get()
                    updates = []
                    while True:
                        if message.headers and "Status" in message.headers:
                            await self._keep_up(message, expected)
                        else:
                            at = message.metadata.sequence
                            if at.consumer != expected:
                                raise FeedError("NATS has left out a message")
                            expected += 1
                            updates.append((at.stream, message.data))
                        if incoming.empty() or len(updates) >= UPDATES_A_TURN:
                            break
                        message = incoming.get_nowait()
                    if updates:
                        yield updates
            finally:
                with suppress(Exception):
                    await subscription.unsubscribe()

    async def _keep_up(self, message: Msg, expected: int) -> None:
        """Answer what is no update: a request to say that all so far has been read, or that nothing has come."""
        headers = message.headers or {}
        if headers["Status"] != "100":
            raise FeedError(f"NATS ends the reading: {headers.get('Description', headers['Status'])}")
        if message.reply:
            await self._client.publish(message.reply)
        elif int(headers.get("Nats-Last-Consumer", expected - 1)) != expected - 1:
            raise FeedError("NATS has left out a message")


def _consumer(inbox: str, after: int) -> ConsumerConfig:
    return ConsumerConfig(
        deliver_subject=inbox,
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=after + 1,
        ack_policy=AckPolicy.NONE,
        max_deliver=1,
        flow_control=True,
        idle_heartbeat=HEARTBEAT_SECONDS,
        inactive_threshold=30.0,
        mem_storage=True,
        num_replicas=1,
    )


@asynccontextmanager
async def opened(urls: str, name: str, as_whom: str) -> AsyncIterator[Stream]:
    """Connect to one of these addresses for a stream. Raises FeedError where none takes the connection."""
    async with connected(urls, as_whom) as client:
        yield Stream(client, name)
