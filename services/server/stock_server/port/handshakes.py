"""TLS handshakes that have failed, told by grpc in its own log alone: counted, and said once in a while."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import sys
from collections import Counter as Counts
from threading import Thread

import structlog
from prometheus_client import CollectorRegistry, Counter

TELL_EVERY_SECONDS = 10.0
"""Of one reason so many failures come into one line of the log."""

PIPE_BYTES = 1_048_576

REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": ("no_certificate", "the client has shown no certificate"),
    "certificate has expired": ("expired", "the client's certificate has expired"),
    "unable to get local issuer": ("untrusted", "the client's certificate is of no authority that the server trusts"),
    "self signed": ("untrusted", "the client's certificate is of no authority that the server trusts"),
    "self-signed": ("untrusted", "the client's certificate is of no authority that the server trusts"),
    "CERTIFICATE_VERIFY_FAILED": ("refused", "the client's certificate cannot be used"),
    "WRONG_VERSION_NUMBER": ("no_tls", "the client does not speak TLS"),
    "HTTP_REQUEST": ("no_tls", "the client does not speak TLS"),
}
"""What is found in grpc's line: the label of the metric, and the words of the log."""

OTHER = ("other", "the handshake has failed")

_FAILED = re.compile(r"^[IWE]\d{4} .*Handshake failed with error (.*)")
_OF_GRPC = re.compile(r"^[IWE]\d{4} ")

log = structlog.get_logger()


class FailedHandshakes:
    """Reads grpc's log, which is on standard error, and hands on whatever else is written there.

    There is something to read only where `GRPC_VERBOSITY` was not set when grpc was imported, and nothing tells who
    failed: grpc names no address. A client that does not accept the server's certificate goes without a word.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counter = Counter(
            "stock_server_failed_handshakes",
            "TLS handshakes on the gRPC port that have failed, by reason.",
            ["reason"],
            registry=registry,
        )
        for label, _ in (*REASONS.values(), OTHER):
            self._counter.labels(label)
        self._untold: Counts[str] = Counts()
        self._loop = asyncio.get_running_loop()

    def watch(self) -> None:
        """Put a pipe in place of standard error, for the rest of the process' life."""
        real = os.dup(sys.stderr.fileno())
        reading, writing = os.pipe()
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(writing, False)  # whoever logs must never wait for the thread that reads
        os.dup2(writing, 2)
        os.close(writing)
        # what Python itself writes goes straight to where it went: the end of the process would cut off the thread
        sys.stderr = os.fdopen(real, "w", buffering=1, errors="backslashreplace", closefd=False)
        Thread(target=self._read, args=(reading, real), name="grpc-log", daemon=True).start()

    def _read(self, reading: int, real: int) -> None:
        with os.fdopen(reading, "rb") as lines:
            for line in lines:
                text = line.decode(errors="replace").rstrip("\n")
                if found := _FAILED.match(text):
                    self._loop.call_soon_threadsafe(self._note, found[1])
                elif not _OF_GRPC.match(text):
                    os.write(real, line)

    def _note(self, error: str) -> None:
        label, words = next((told for part, told in REASONS.items() if part in error), OTHER)
        self._counter.labels(label).inc()
        if words not in self._untold:
            self._loop.call_later(TELL_EVERY_SECONDS, self._tell, words)
            log.warning("tls.handshake.failed", reason=words)
        self._untold[words] += 1

    def _tell(self, words: str) -> None:
        more = self._untold.pop(words) - 1
        if more > 0:
            log.warning("tls.handshake.failed", reason=words, more=more, within_seconds=TELL_EVERY_SECONDS)
