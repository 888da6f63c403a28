"""A synchronous stream can be cut from another thread: with its status between two messages, without one in a write."""

from __future__ import annotations

import grpc
import pytest

from flowcontrol.sync import current_stream

from sync_service import sync_session
from waiting import until_blocking

STATUS = (grpc.StatusCode.RESOURCE_EXHAUSTED, "too slow")


def test_a_handler_at_work_ends_with_the_status_and_its_next_message_is_dropped():
    with sync_session() as session:
        session.service.pause.set()
        call = session.call(b"5")
        [stream] = until_blocking(lambda: session.service.streams)
        stream.cut(*STATUS, (("why", "because"),))
        stream.cut(grpc.StatusCode.ABORTED, "only the first call counts")
        session.service.go_on.set()
        with pytest.raises(grpc.RpcError) as error:
            next(call)
        assert (error.value.code(), error.value.details()) == STATUS
        assert ("why", "because") in error.value.trailing_metadata()
        session.closed()
        assert (session.sent()["messages"], session.sent()["dropped"]) == (0, 1)


def test_a_blocked_write_is_given_up_and_the_client_is_told_cancelled():
    with sync_session() as session:
        call = session.call()
        session.blocked()
        [stream] = session.service.streams
        assert not stream.is_cut
        stream.cut(*STATUS)
        assert stream.is_cut
        until_blocking(session.server_side.ledger.open_books, lambda books: books == [])
        assert (session.sent()["messages"], session.sent()["dropped"]) == (655, 1)
        messages = []
        with pytest.raises(grpc.RpcError) as error:
            messages.extend(call)
        assert error.value.code() is grpc.StatusCode.CANCELLED
        session.closed()
        assert session.received()["messages"] == 655


def test_a_stream_that_has_ended_cannot_be_cut():
    with sync_session() as session:
        assert len(list(session.call(b"5"))) == 5
        session.closed()
        [stream] = session.service.streams
        stream.cut(*STATUS)
        assert not stream.is_cut


def test_elsewhere_there_is_no_stream():
    with pytest.raises(LookupError, match="no measured stream here"):
        current_stream()
