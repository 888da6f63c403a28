"""What is left of the handlers when a server has stopped: nothing, once they have been waited for."""

from __future__ import annotations

import os
import subprocess
import sys

SLOW_TO_END = """
import asyncio
import grpc
from flowcontrol import FlowControlServerInterceptor

async def slow_to_end(request, context):
    try:
        while True:
            yield bytes(1000)
    finally:
        await asyncio.sleep(0.1)
        print("handler ended")

async def main():
    interceptor = FlowControlServerInterceptor()
    server = grpc.aio.server(interceptors=[interceptor])
    rpc = {"Flood": grpc.unary_stream_rpc_method_handler(slow_to_end)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("slow.Slow", rpc),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_stream("/slow.Slow/Flood")(b"")
        await call.read()
        await server.stop(0)
        await interceptor.handlers_ended()
        print("open books:", len(interceptor.ledger.open_books()))

asyncio.run(main())
"""


def test_a_loop_that_ends_after_the_handlers_leaves_no_traceback():
    quiet = {**os.environ, "GRPC_VERBOSITY": "NONE"}  # grpc's core tells of connections that end, now and then
    command = [sys.executable, "-c", SLOW_TO_END]
    done = subprocess.run(command, capture_output=True, text=True, env=quiet, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "handler ended\nopen books: 0\n", "")
