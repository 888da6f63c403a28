"""A stalled stream holds a thread: what a pool of four comes to with four of them, and what helps."""

from __future__ import annotations

import grpc
import pytest

from flowcontrol.sync import POOL_METRICS, MeasuredThreadPool

from sync_service import sync_session
from waiting import until_blocking


def four(registry) -> MeasuredThreadPool:
    return MeasuredThreadPool(4, registry=registry)


def figures(session, pool: str = "grpc") -> list[float | None]:
    """Return what the pool exports: threads in all, busy, blocked, and the calls that wait for one."""
    return [session.server_registry.get_sample_value(metric.name, {"pool": pool}) for metric in POOL_METRICS]


def code_of(call) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as error:
        call()
    return error.value.code()


def test_four_stalled_streams_hang_every_other_call():
    with sync_session(pool=four) as session:
        assert session.size(timeout=30) == b"95"
        until_blocking(lambda: figures(session), lambda found: found == [4, 0, 0, 0])
        for _ in range(4):
            session.call()
        session.blocked(4)
        assert figures(session) == [4, 4, 4, 0]
        assert code_of(lambda: session.size(timeout=0.5)) is grpc.StatusCode.DEADLINE_EXCEEDED
        assert figures(session)[3] == 1, "it waits on, though its client has gone"
        session.calls[0].cancel()
        assert session.size(timeout=30) == b"95"
        until_blocking(lambda: figures(session), lambda found: found == [4, 3, 3, 0])


def test_a_limit_of_calls_refuses_at_once_what_would_hang():
    with sync_session(pool=four, maximum_concurrent_rpcs=4) as session:
        for _ in range(4):
            session.call()
        session.blocked(4)
        assert code_of(lambda: session.size(timeout=30)) is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_larger_pool_has_room():
    with sync_session(pool=lambda registry: MeasuredThreadPool(5, registry=registry)) as session:
        for _ in range(4):
            session.call()
        session.blocked(4)
        assert session.size(timeout=30) == b"95"


def test_a_deadline_frees_the_thread():
    with sync_session(pool=four) as session:
        for _ in range(4):
            session.call(timeout=1)
        assert session.size(timeout=30) == b"95"


def test_a_cut_frees_the_thread():
    with sync_session(pool=four) as session:
        for _ in range(4):
            session.call()
        session.blocked(4)
        session.service.streams[0].cut(grpc.StatusCode.RESOURCE_EXHAUSTED, "too slow")
        assert session.size(timeout=30) == b"95"


def test_a_handler_at_work_is_busy_and_not_blocked():
    with sync_session(pool=four) as session:
        session.service.pause.set()
        session.call(b"1")
        until_blocking(lambda: session.service.streams)
        assert figures(session) == [4, 1, 0, 0]


def test_pools_of_one_registry_are_told_apart_by_name_and_work_that_fails_is_counted_out(recwarn):
    with sync_session(pool=four) as session:
        other = MeasuredThreadPool(2, registry=session.server_registry, name="other")
        assert isinstance(other.submit(int, "no number").exception(10), ValueError)
        assert other.submit(lambda a, b: a - b, 3, b=1).result(10) == 2
        until_blocking(lambda: figures(session, "other"), lambda found: found == [2, 0, 0, 0])
        other.shutdown()
        with pytest.raises(RuntimeError):
            other.submit(int)
        assert figures(session, "other") == [2, 0, 0, 0]
