"""Clients of a server that says what it should not: frames, headers, messages and ends of all kinds."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from lab.chaos.figures import figures, tracebacks
from lab.chaos.held import Held
from lab.chaos.inputs import DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, Inputs, field, frame
from lab.chaos.ports import free_port
from lab.chaos.scene import Scene, until
from lab.processes.services import Service, run_client, run_server
from lab.verdict import Claim, at_most
from stockfeed.source import StockSource

SEED = 8
CLIENTS = 4
AT_ONCE = ("--backoff-initial-seconds", "0.01", "--backoff-max-seconds", "0.05")
"""They come back so soon that there are many connections; the default would be 4 s."""

BACK_WITHIN_SECONDS = 10.0
MOST_MEMORY_RATIO = 1.2
MOST_LINES = 5
"""For a connection: it began, it ended, and the update in between is none."""


async def run(scene: Scene) -> list[Claim]:
    """Answer clients so and so often, then be a server as it should be."""
    wanted, port = scene.many(2_000, 100), free_port()
    answers = Answers(SEED)
    # who has no server to begin with tries on: the hostile one takes the port of its name
    place = Service("hostile", await asyncio.create_subprocess_exec("true"), "", port)
    async with AsyncExitStack() as stack:
        contexts = [run_client(scene.folder, f"client-{n}", place, *AT_ONCE) for n in range(CLIENTS)]
        async with _hostile(port, answers):
            clients = await asyncio.gather(*(stack.enter_async_context(context) for context in contexts))

            async def answered() -> int:
                scene.say(f"{answers.given} of {wanted} connections")
                return answers.given

            await until(answered, lambda given: given >= wanted / 10, 300, "the first connections")
            before = [await Held.by(client, scene.http) for client in clients]
            await until(answered, lambda given: given >= wanted, 900, "all connections", 0.5)
        after = [await Held.by(client, scene.http) for client in clients]
        async with run_server(scene.folder, "--grpc-port", str(port)):

            async def reading() -> int:
                now = [await figures(scene.http, client) for client in clients]
                return sum(each.sum("flowcontrol_client_open_streams_received_messages") > 0 for each in now)

            _, back = await until(reading, lambda count: count == CLIENTS, 60, "all clients read")
    logs = [scene.folder / f"{client.name}.log" for client in clients]
    lines = sum(len(log.read_text().splitlines()) for log in logs)
    ratios = [then.memory_bytes / now.memory_bytes for now, then in zip(before, after, strict=True)]
    descriptors = max(then.descriptors - now.descriptors for now, then in zip(before, after, strict=True))
    return [
        at_most("clients that have ended", sum(client.process.returncode not in (None, 0) for client in clients), 0),
        at_most("a server as it should be is read from after", back, BACK_WITHIN_SECONDS, "s"),
        at_most("memory after, of before, at most", max(ratios), MOST_MEMORY_RATIO),
        at_most("descriptors more, at most", descriptors, 4),
        at_most("tracebacks", tracebacks(*logs), 0),
        at_most("log lines for a connection", lines / answers.given, MOST_LINES),
    ]


class Answers:
    """Draws what a hostile server says."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - what is bad, no secret
        self._inputs = Inputs(seed)
        self._source = StockSource(seed=seed)
        self.given = 0

    def draw(self) -> bytes:
        """Return an answer: no HTTP/2, frames at random, or a stream of updates that are none."""
        self.given += 1
        if self._random.random() < 0.4:
            return self._inputs.draw().removeprefix(PREFACE)
        head = field(b":status", self._random.choice([b"200", b"200", b"200", b"503", b"000"]))
        kind = field(b"content-type", self._random.choice([b"application/grpc", b"text/html"]))
        odd = field(b"stock-policy", self._random.randbytes(8)) if self._random.random() < 0.2 else b""
        begun = frame(SETTINGS, 0, 0) + frame(SETTINGS, 1, 0) + frame(HEADERS, END_HEADERS, 1, head + kind + odd)
        return begun + b"".join(self._message() for _ in range(self._random.randrange(20))) + self._end()

    def _message(self) -> bytes:
        update = self._source.next()
        match self._random.randrange(5):
            case 0:
                update.timestamp = self._random.choice(["", "noon", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"])
            case 1:
                update.sequence = self._random.choice([0, 1, 2**63, 2**64 - 1])
            case 2:
                update.ticker = self._random.choice(["", "A" * 3_000, "\n\x00\u2028"])
            case 3:
                return self._data(self._random.randbytes(self._random.randrange(200)))
        return self._data(update.SerializeToString())

    def _data(self, message: bytes) -> bytes:
        length = len(message) if self._random.random() < 0.9 else self._random.randrange(2**32)
        return frame(DATA, 0, 1, struct.pack(">BI", self._random.choice([0, 0, 0, 0, 1, 255]), length) + message)

    def _end(self) -> bytes:
        if self._random.random() < 0.3:
            return b""
        status = self._random.choice([b"0", b"14", b"8", b"99", b"-1", b"x"])
        retry = field(b"grpc-status-details-bin", self._random.randbytes(20))
        told = field(b"grpc-message", bytes(self._random.randrange(0x20, 0x7F) for _ in range(100)))
        return frame(HEADERS, END_HEADERS | END_STREAM, 1, field(b"grpc-status", status) + told + retry)


@asynccontextmanager
async def _hostile(port: int, answers: Answers) -> AsyncIterator[None]:
    writers: set[asyncio.StreamWriter] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await reader.readexactly(len(PREFACE))
                    writer.write(answers.draw())
                    await writer.drain()
                    await reader.read(4_096)
                    await asyncio.sleep(0.05)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writers.discard(writer)
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for writer in tuple(writers):
            writer.close()
