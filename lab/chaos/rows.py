"""The table of faults: what is done, and the module that does it and says what must hold."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lab.chaos.faults import (
    bad_input,
    client_killed,
    clock_stepped,
    crowd,
    descriptors,
    frozen,
    hostile_server,
    link_down,
    link_poor,
    log_taken_by_nobody,
    monitoring,
    server_killed,
    small_container,
    soak,
)
from lab.chaos.scene import Scene
from lab.verdict import Claim


@dataclass(frozen=True)
class Row:
    """A fault, and what plays it."""

    name: str
    fault: str
    play: Callable[[Scene], Awaitable[list[Claim]]]
    within_seconds: float = 600.0
    """It fails that takes longer."""


ROWS = (
    Row("server-kill", "server killed 20 times at random under 10 clients", server_killed.run),
    Row("client-kill", "clients killed while stalled, 100 of them", client_killed.run),
    Row("link-down", "the network loses everything for 1 to 60 s", link_down.outages),
    Row("host-replaced", "another host takes the server's address over", link_down.host_replaced),
    Row("link-loss", "2 % of the packets are lost, either way", link_poor.loss),
    Row("link-narrow", "1 Mbit/s, either way", link_poor.narrow),
    Row("link-long", "100 ms later, either way", link_poor.long),
    Row("server-frozen", "server stopped (SIGSTOP) for 30 s", frozen.server),
    Row("clients-frozen", "all clients stopped (SIGSTOP) for 30 s", frozen.clients),
    Row("crowd", "1,000 clients at once, twice", crowd.arrives),
    Row("cancels", "10,000 streams opened and cancelled", crowd.cancels),
    Row("log", "log pipe full, disk full, output closed", log_taken_by_nobody.run),
    Row("descriptors", "no descriptor is left", descriptors.run),
    Row("clock", "the server's clock stepped by an hour, either way and back", clock_stepped.run),
    Row("bad-input", "100,000 bad inputs on all ports", bad_input.run, within_seconds=1_200),
    Row("hostile-server", "clients of a server that says what it should not", hostile_server.run, within_seconds=1_200),
    Row("monitoring", "Prometheus stopped, killed and started, again and again", monitoring.run),
    Row("small-container", "the server's container has 128 MiB, and 500 streams stall", small_container.run),
    Row("soak", "10 minutes of streams that come, stall and go", soak.run, within_seconds=1_200),
)
