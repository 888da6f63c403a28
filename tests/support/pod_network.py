"""Runs a program with a network and a DNS of its own, as a pod of a cluster has them: `in_pod`.

The names of the zone are all on loopback. What is not in the cluster goes to a DNS behind it that never answers, as in
a cluster without a way out; the last line of standard error lists these questions. Needs root, or a kernel that lets
everybody have a namespace.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import dnslib
from dnslib.server import BaseResolver, DNSServer, UDPServer

from needs import lack

DOMAIN = "cluster.local."
NAMES = {f"{name}.backpressure.svc.{DOMAIN}" for name in ("server", "client", "slow-client")}
ADDRESSES = {"4": dnslib.A("127.0.0.1"), "6": dnslib.AAAA("::1")}

RESOLV_CONF = """\
search backpressure.svc.cluster.local svc.cluster.local cluster.local
nameserver 127.0.0.1
options ndots:5
"""
"""What Kubernetes writes into a pod of the namespace."""


class ClusterDns(BaseResolver):  # type: ignore[misc]
    """Answers for the cluster's names, with addresses of one family; to all others it says nothing."""

    def __init__(self, family: str) -> None:
        self._address = ADDRESSES[family]
        self.left: list[str] = []
        """Questions that the cluster has no answer to, and so passes on."""

    def resolve(self, request: Any, handler: Any) -> Any:
        """Return the answer."""
        question = str(request.q.qname)
        if not question.endswith(f".{DOMAIN}"):
            self.left.append(question)
            raise TimeoutError  # which is no answer
        reply = request.reply()
        if question not in NAMES:
            reply.header.rcode = dnslib.RCODE.NXDOMAIN
        elif dnslib.QTYPE[request.q.qtype] == type(self._address).__name__:
            reply.add_answer(dnslib.RR(question, request.q.qtype, rdata=self._address, ttl=5))
        return reply


class QuietServer(UDPServer):  # type: ignore[misc]
    """Drops a question that has no answer."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of it."""


class Silent:
    """A log that says nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def enter(family: str, command: list[str]) -> int:
    """Run a command in the namespace that this process is in, and return its exit status."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)  # noqa: S607
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as resolv_conf:
        resolv_conf.write(RESOLV_CONF)
        resolv_conf.flush()
        Path(resolv_conf.name).chmod(0o644)
        subprocess.run(["mount", "--bind", resolv_conf.name, "/etc/resolv.conf"], check=True)  # noqa: S607
        dns = ClusterDns(family)
        DNSServer(dns, address="127.0.0.1", port=53, logger=Silent(), server=QuietServer).start_thread()
        status = subprocess.run(command, check=False).returncode
        sys.stderr.write(json.dumps(sorted(set(dns.left))))
        return status


def in_pod(family: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program in a network where names have addresses of the family. Skips where there can be none."""
    unshare = ["unshare", "--net", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        lack("a network namespace", "root, or a kernel that lets everybody have one")
    whole = [*unshare, sys.executable, __file__, family, sys.executable, *command]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(whole, capture_output=True, text=True, check=False, env=environment, timeout=150)
    assert done.returncode == 0, done.stderr
    return done


if __name__ == "__main__":
    sys.exit(enter(sys.argv[1], sys.argv[2:]))
