"""Services as processes forked off one that has imported them, which costs a tenth of a start by `python -m`.

From its first line on each is a process of its own: arguments, environment, descriptors, output, exit status. The tests
of the commands start them as users do.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import IO, Any

MODULES = ("stock_server", "stock_client", "stock_market")

MOST_BYTES = 1 << 18
"""Of a request, which has the whole environment."""

_ONE_REQUEST = threading.Lock()


def clean_environment(**variables: str) -> dict[str, str]:
    """Return the environment without the services' settings, so that the tests' own are the only ones."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STOCK_", "GRPC_VERBOSITY"))}
    return {**kept, **variables}


class Forked:
    """A running service, with the part of `subprocess.Popen` that the tests use."""

    def __init__(self, module: str, arguments: list[str], stdout: IO[bytes], errors: IO[bytes], env: dict[str, str]):
        self.args = [module, *arguments]
        self.returncode: int | None = None
        self._ended, told = os.pipe()
        try:
            with _ONE_REQUEST:
                request = json.dumps({"module": module, "arguments": arguments, "env": env}).encode()
                socket.send_fds(_forking(), [request], [stdout.fileno(), errors.fileno(), told])
                self.pid = int(_forking().recv(64))
        finally:
            os.close(told)

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        return self._status(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status, once it has ended. Raises subprocess.TimeoutExpired."""
        status = self._status(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to it, if it still runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it may end right now
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def _status(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            waiting = select.poll()
            waiting.register(self._ended, select.POLLIN)
            if waiting.poll(None if timeout is None else 1_000 * timeout):
                self.returncode = int(os.read(self._ended, 64))
                os.close(self._ended)
        return self.returncode


@cache
def _forking() -> socket.socket:
    """Start the process that forks; it ends with this one."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        command = [sys.executable, __file__, str(its.fileno())]
        environment = clean_environment()  # grpc looks into it when it is imported
        process = subprocess.Popen(command, pass_fds=[its.fileno()], stdin=-3, stdout=-3, env=environment)
    atexit.register(_end, process, ours)
    return ours


def _end(process: subprocess.Popen[bytes], ours: socket.socket) -> None:
    ours.close()
    process.wait(10)


def serve(requests: socket.socket) -> str | None:
    """Fork a process for each request, and tell how it has ended; return None when there will be no more.

    In each new process it returns as well: the name of the module that this is to run.
    """
    running: dict[int, tuple[int, int]] = {}
    while True:
        for one in select.select([requests, *running], [], [])[0]:
            if one is requests:
                request, descriptors, _, _ = socket.recv_fds(requests, MOST_BYTES, 3)
                if not request:
                    return None
                stdout, errors, told = descriptors
                if (pid := os.fork()) == 0:
                    requests.detach()
                    return _become(json.loads(request), stdout, errors)
                running[os.pidfd_open(pid)] = pid, told
                os.close(stdout)
                os.close(errors)
                requests.send(str(pid).encode())
            else:
                pid, told = running.pop(one)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with suppress(BrokenPipeError):
                    os.write(told, str(status).encode())
                os.close(told)
                os.close(one)


def _become(request: dict[str, Any], stdout: int, errors: int) -> str:
    """Leave nothing of the process that this one is forked off, but for what that has imported."""
    os.dup2(stdout, 1)
    os.dup2(errors, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv[1:] = request["arguments"]
    return str(request["module"])


def main() -> None:
    """Import what services need, then fork them off; in a process that was forked, run a service."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the tests
    sys.path[0] = os.getcwd()  # as of `python -m`
    for module in MODULES:
        import_module(f"{module}.main")
    if module_to_run := serve(socket.socket(fileno=int(sys.argv[1]))):
        runpy.run_module(module_to_run, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
