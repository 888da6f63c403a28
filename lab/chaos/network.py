"""Hosts with network namespaces of their own, on one switch: a cable can be pulled without either end being told."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from lab.chaos.scene import NotTestedError

NAMESPACES = Path("/run/netns")

PREFIX = "chaos"

CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


class Host:
    """A network namespace with one address, on the network's switch."""

    def __init__(self, network: str, number: int) -> None:
        self.name = f"{network}-{number}"
        self.address = f"192.0.2.{number}"  # TEST-NET-1 (RFC 5737), which is nobody's
        self.port = f"port{number}"
        """The other end of its cable, at the switch."""
        self.command = ("ip", "netns", "exec", self.name)
        """What runs a program on this host."""

    def get(self, url: str, timeout_seconds: float = 10.0) -> str:
        """Return what an address of this host answers to the host itself. Raises OSError."""
        where = urlsplit(url)
        assert where.hostname is not None  # noqa: S101 - for mypy
        http = HTTPConnection(where.hostname, where.port, timeout=timeout_seconds)
        with self.entered():
            http.connect()
        try:
            http.request("GET", where.path)
            return http.getresponse().read().decode()
        finally:
            http.close()

    def run(self, *command: str) -> None:
        """Run a program on the host, to its end. Raises NotTestedError where it fails: the machine lacks it."""
        try:
            subprocess.run([*self.command, *command], check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            raise NotTestedError(f"needs `{' '.join(command[:2])}`: {error.stderr.strip()}") from error

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let this thread be on the host: a socket made meanwhile stays there."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            _enter(NAMESPACES / self.name)
            yield
        finally:
            _set(own)
            os.close(own)


class Network:
    """A switch and its hosts."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._switch = f"{name}-switch"
        self._hosts: list[Host] = []
        _ip("netns", "add", self._switch)
        _ip("-n", self._switch, "link", "add", "switch", "type", "bridge")
        _ip("-n", self._switch, "link", "set", "switch", "up")

    def host(self, *, instead_of: Host | None = None) -> Host:
        """Return a new host; `instead_of` takes that one's cable and addresses over."""
        number = len(self._hosts) + 1
        host = Host(self._name, number)
        address, mac = f"192.0.2.{number}", f"02:00:00:00:00:{number:02x}"
        if instead_of is not None:
            self.pull(instead_of)
            host.address = address = instead_of.address
            mac = f"02:00:00:00:00:{self._hosts.index(instead_of) + 1:02x}"
        _ip("netns", "add", host.name)
        self._hosts.append(host)
        _ip("-n", self._switch, "link", "add", host.port, "type", "veth", "peer", "eth0", "netns", host.name)
        _ip("-n", self._switch, "link", "set", host.port, "up")
        _ip("-n", host.name, "link", "set", "eth0", "address", mac, "up")
        _ip("-n", host.name, "link", "set", "lo", "up")
        _ip("-n", host.name, "address", "add", f"{address}/24", "dev", "eth0")
        self.plug(host)
        return host

    def pull(self, host: Host) -> None:
        """Take a host off the switch; its own link stays up, and what it sends goes nowhere."""
        _ip("-n", self._switch, "link", "set", host.port, "nomaster")

    def plug(self, host: Host) -> None:
        """Put it on the switch again."""
        _ip("-n", self._switch, "link", "set", host.port, "master", "switch")

    def end(self) -> None:
        """Take it all away."""
        for name in (*(host.name for host in self._hosts), self._switch):
            _ip("netns", "delete", name)


@contextmanager
def new_network() -> Iterator[Network]:
    """Yield a network of its own. Raises NotTestedError where none can be made."""
    _sweep()
    try:
        network = Network(f"{PREFIX}{os.getpid()}")
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise NotTestedError(f"needs network namespaces (root, Linux, iproute2): {said.strip()}") from error
    try:
        yield network
    finally:
        network.end()


def _sweep() -> None:
    """Take away what a run has left that was killed."""
    for left in NAMESPACES.glob(f"{PREFIX}[0-9]*-*"):
        pid = left.name.removeprefix(PREFIX).partition("-")[0]
        if not Path("/proc", pid).exists():
            subprocess.run(["ip", "netns", "delete", left.name], check=False)  # noqa: S607


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)  # noqa: S607


def _enter(namespace: Path) -> None:
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        _set(descriptor)
    finally:
        os.close(descriptor)


def _set(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
