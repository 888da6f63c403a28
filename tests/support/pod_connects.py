"""Prints how long a client takes to connect to a server on this host: `python pod_connects.py ADDRESS`."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc


def main(address: str) -> None:
    """Serve on port 4444, and connect to it by that address."""
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_insecure_port("[::]:4444")
    server.start()
    begin = time.monotonic()
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=60)
        sys.stdout.write(f"{time.monotonic() - begin:.2f}")


if __name__ == "__main__":
    main(sys.argv[1])
