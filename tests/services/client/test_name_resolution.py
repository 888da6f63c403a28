"""A server whose name is not known yet: clients ask again soon, and connect once it is."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from processes import Services
from waiting import until_blocking

A_RECORD = 1
NO_SUCH_NAME = 3


class NameServer:
    """A DNS server on loopback that knows every name, as 127.0.0.1, or none."""

    def __init__(self) -> None:
        self.knows = False
        self.questions = 0
        """Questions for an address so far."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._answer_all)

    @contextmanager
    def running(self) -> Iterator[NameServer]:
        """Answer questions within the block."""
        self._thread.start()
        try:
            yield self
        finally:
            self._socket.sendto(b"", self._socket.getsockname())  # an empty question ends it
            self._thread.join()
            self._socket.close()

    def _answer_all(self) -> None:
        while True:
            question, peer = self._socket.recvfrom(2048)
            if not question:
                return
            self._socket.sendto(self._answer(question), peer)

    def _answer(self, question: bytes) -> bytes:
        # RFC 1035, 4.1: a header of 12 bytes, then the question: the name, which a zero byte ends, its type, its class
        end = question.index(b"\0", 12) + 5
        (record_type,) = struct.unpack("!H", question[end - 4 : end - 2])
        is_address = record_type == A_RECORD
        self.questions += is_address
        found = self.knows and is_address
        header = question[:2] + struct.pack("!HHHHH", 0x8180 | (0 if self.knows else NO_SUCH_NAME), 1, found, 0, 0)
        record = (
            b"\xc0\x0c" + struct.pack("!HHIH4s", A_RECORD, 1, 1, 4, socket.inet_aton("127.0.0.1")) if found else b""
        )
        return header + question[12:end] + record


def test_a_client_asks_for_the_name_at_each_attempt_and_connects_once_it_is_known(services: Services) -> None:
    server = services.server()
    with NameServer().running() as names:
        address = f"dns://127.0.0.1:{names.port}/server.test:{server.grpc_port}"
        client = services.client(address, "--backoff-max-seconds", "0.5")
        # one channel would ask 5 times in 10 s: after 0, 1, 3, 5 and 9 s
        until_blocking(lambda: names.questions, lambda count: count >= 10, within_seconds=10)
        assert client.events("stream.open.complete") == []

        names.knows = True

        client.event("stream.open.complete", within_seconds=5)
