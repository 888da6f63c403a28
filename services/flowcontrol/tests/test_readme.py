"""The README's programs run, its answers are right, and its table is that of the declared metrics."""

from __future__ import annotations

import doctest
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from flowcontrol import CLIENT_METRICS, SERVER_METRICS
from flowcontrol.sync import POOL_METRICS

from waiting import until_blocking

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text()
LIBRARY = README.parent


def free_ports(count: int) -> list[str]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture
def programs(tmp_path) -> dict[str, str]:
    """Write the README's files, with free ports in place of its own; return these by its own."""
    ports = dict(zip(("50051", "9100", "9101"), free_ports(3), strict=True))
    for name, text in re.findall(r"```\w+\n(?:#|//) (\w+\.\w+)\n(.*?)```", TEXT, re.DOTALL):
        for own, free in ports.items():
            text = re.sub(rf"\b{own}\b", free, text)
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", "--python_out=.", "--grpc_python_out=.", "ticks.proto"]
    subprocess.run(command, cwd=tmp_path, check=True)
    return ports


def test_the_programs_run_and_show_backpressure(programs, tmp_path):
    running = []
    try:
        for name in ("server.py", "client.py"):
            environment = {**os.environ, "GRPC_VERBOSITY": "NONE"}
            running.append(subprocess.Popen([sys.executable, name], cwd=tmp_path, env=environment))
            metrics = f"http://127.0.0.1:{programs['9100' if name == 'server.py' else '9101']}/metrics"
            until_blocking(lambda url=metrics: httpx.get(url).is_success, retry_on=httpx.TransportError)

        def blocked() -> list[str]:
            text = httpx.get(f"http://127.0.0.1:{programs['9100']}/metrics").text
            return re.findall(r'^flowcontrol_server_write_blocked_now_seconds\{client="reader-1".*\} (\S+)', text, re.M)

        until_blocking(blocked, lambda values: values and float(values[0]) > 0.2)
        received = httpx.get(f"http://127.0.0.1:{programs['9101']}/metrics").text
        assert re.search(r'flowcontrol_client_window_bytes\{client="reader-1",method="Ticks/Count"\} 65535', received)
        assert [program.poll() for program in running] == [None, None]
    finally:
        for program in running:
            program.kill()
            program.wait()


def test_the_answers_are_right():
    result = doctest.testfile(str(README), module_relative=False)
    assert result.attempted >= 5
    assert result.failed == 0


def test_the_table_is_that_of_the_declared_metrics():
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*) \| (.+) \|$", TEXT, re.MULTILINE)
    assert rows == [
        (metric.name, metric.kind, ", ".join(metric.labels), metric.help)
        for metric in (*SERVER_METRICS, *CLIENT_METRICS, *POOL_METRICS)
    ]


def test_the_library_imports_nothing_of_stocks():
    sources = [path.read_text() for path in (LIBRARY / "flowcontrol").rglob("*.py")]
    assert len(sources) > 5
    for source in sources:
        assert not re.search(r"^\s*(from|import) (stock|servicekit|lab)", source, re.MULTILINE)
