"""The port that Prometheus scrapes: for how long it waits for those who connect, and what it makes of their bytes."""

from __future__ import annotations

import gc
import random
import socket
import time

import psutil
import pytest
from prometheus_client import Gauge

from servicekit.metrics import port as metrics_port
from servicekit.metrics.port import serve_metrics

from processes import HTTP
from waiting import until_blocking


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\n", b"GET"],
    ids=["nothing", "half a request", "a word"],
)
def test_who_does_not_end_its_request_is_dropped_in_time(registry, monkeypatch, sent):
    monkeypatch.setattr(metrics_port, "REQUEST_SECONDS", 0.3)
    port = serve_metrics(registry, "127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        slow.sendall(sent)
        assert slow.recv(100) == b""


def test_who_sends_a_request_letter_by_letter_is_dropped_in_time(registry, monkeypatch):
    monkeypatch.setattr(metrics_port, "REQUEST_SECONDS", 0.5)
    port = serve_metrics(registry, "127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        began = time.monotonic()

        def send_one() -> bool:
            try:
                slow.sendall(b"G")
            except OSError:
                return True
            return False

        until_blocking(send_one, every_seconds=0.05)
        assert time.monotonic() - began >= 0.5


def connections_at(port: int) -> int:
    """Return how many connections to a port are established, seen from the port's end."""
    return sum(
        connection.laddr.port == port and connection.status == psutil.CONN_ESTABLISHED
        for connection in psutil.Process().net_connections(kind="tcp")
        if connection.laddr
    )


def test_who_does_not_take_its_page_is_dropped_in_time(registry, monkeypatch):
    for number in range(200):
        Gauge(f"large_{number}", "x" * 100_000, registry=registry)
    monkeypatch.setattr(metrics_port, "REQUEST_SECONDS", 1.0)
    port = serve_metrics(registry, "127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
        slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        until_blocking(lambda: slow.recv(12, socket.MSG_PEEK), lambda got: got == b"HTTP/1.1 200")
        until_blocking(lambda: connections_at(port), lambda count: count == 0)
        taken = 0
        try:
            while got := slow.recv(1_000_000):
                taken += len(got)
        except ConnectionError:
            pass
        assert taken < 19_000_000


def test_those_who_send_nothing_make_room_for_those_who_ask(registry):
    port = serve_metrics(registry, "127.0.0.1", 0)
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(2 * metrics_port.MOST_CONNECTIONS)]
    try:
        assert HTTP.get(f"http://127.0.0.1:{port}/metrics", timeout=5).status_code == 200
        silent[0].settimeout(5)
        assert silent[0].recv(1) == b"", "the oldest had to go"
    finally:
        for connection in silent:
            connection.close()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"4"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nx: " + b"x" * 20_000, b"431"),
        (b"GET \xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", b"4"),
        (b"GET http://[x/metrics?name[]=%ff HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
    ],
    ids=["TLS", "HTTP/2", "too large", "no text", "no URL"],
)
def test_what_is_no_request_is_answered_and_the_port_goes_on(address, sent, status):
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=5) as odd:
        odd.sendall(sent)
        answer = odd.recv(1_000)
        assert answer.startswith(b"HTTP/1.1 " + status), answer
    assert HTTP.get(f"{address}/metrics").status_code == 200


def test_whatever_bytes_come_the_port_goes_on_and_raises_nothing(address, caplog):
    draw = random.Random(1)
    requests = [
        b"GET /metrics?name[]=pears HTTP/1.1\r\nHost: x\r\nAccept: text/plain;version=1.0.0\r\n"
        b"Content-Length: 3\r\n\r\nabc",
        b"POST /ready HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n",
        b"HEAD /healthz HTTP/1.0\r\n\r\n",
        bytes(range(256)),
        b"",
    ]
    for _ in range(500):
        request = bytearray(draw.choice(requests))
        for _ in range(draw.randrange(6)):
            begin = draw.randrange(len(request) + 1)
            request[begin : begin + draw.randrange(20)] = draw.randbytes(draw.randrange(20))
        with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=10) as odd:
            odd.sendall(request)
            odd.shutdown(socket.SHUT_WR)
            try:
                answer = odd.recv(12)
            except ConnectionError:
                answer = b""
            assert not answer or answer.startswith(b"HTTP/1.1 "), bytes(request)
    assert HTTP.get(f"{address}/healthz").status_code == 200
    gc.collect()  # asyncio tells of a task that has failed once the task goes
    assert caplog.records == []
