from __future__ import annotations

import subprocess
from typing import Any

import httpx
import pytest

from waiting import until_blocking

pytestmark = [pytest.mark.docker, pytest.mark.timeout(420)]

IN_FLIGHT = "client:flowcontrol_in_flight_messages:sum"
BOUND = "client:flowcontrol_bound_messages:sum"
CEILING = "client:flowcontrol_ceiling_messages:sum"
SENT = "sum by (client) (flowcontrol_server_sent_messages_total)"

CONTAINERS = ("server-1", "client-1", "slow-client-1", "prometheus-1")


@pytest.mark.parametrize("name", CONTAINERS)
def test_it_runs_hardened(stack: Any, name: str):
    container = stack.containers()[name]
    assert container["State"]["Health"]["Status"] == "healthy"

    def execute(*command: str) -> subprocess.CompletedProcess[str]:
        return stack.docker("exec", container["Id"], *command)

    assert execute("id", "-u").stdout.strip() not in ("", "0")

    status = dict(line.split(":\t", 1) for line in execute("cat", "/proc/1/status").stdout.splitlines())
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"

    # /tmp is open to all users: what refuses is the file system
    assert "Read-only file system" in execute("touch", "/tmp/probe").stderr  # noqa: S108


@pytest.mark.parametrize("name", CONTAINERS)
def test_its_ports_are_on_the_loopback_address(stack: Any, name: str):
    ports = stack.containers()[name]["NetworkSettings"]["Ports"]
    addresses = {binding["HostIp"] for bindings in ports.values() for binding in bindings or []}
    assert addresses == (set() if "client" in name else {"127.0.0.1"})


def test_prometheus_takes_its_configuration_and_the_rules(stack: Any):
    stack("exec", "-T", "prometheus", "promtool", "check", "config", "--lint-fatal", "/etc/prometheus/prometheus.yml")


def test_every_target_is_up(prometheus: Any):
    expected = [("client", "up"), ("client", "up"), ("server", "up")]
    until_blocking(
        prometheus.targets, lambda targets: targets == expected, within_seconds=30, every_seconds=0.5, what="targets up"
    )


def test_the_slow_clients_curve_flattens_and_the_fast_ones_stays_near_zero(prometheus: Any):
    def curves() -> dict[str, dict[str, float]]:
        return {
            "lowest": prometheus.by_client(f"min_over_time({IN_FLIGHT}[20s])"),
            "highest": prometheus.by_client(f"max_over_time({IN_FLIGHT}[20s])"),
            "samples": prometheus.by_client(f"count_over_time({IN_FLIGHT}[20s])"),
            "ceiling": prometheus.by_client(CEILING),
            "bound": prometheus.by_client(BOUND),
            "sent": prometheus.by_client(f"increase(({SENT})[20s:1s])"),
        }

    def is_so(now: dict[str, dict[str, float]]) -> bool:
        return (
            now["samples"]["slow-client"] >= 4
            and now["lowest"]["slow-client"] >= 0.9 * now["ceiling"]["slow-client"]
            and now["sent"]["slow-client"] < 0.1 * now["sent"]["client"]
            # not 0: both ends are not scraped at the same moment, and what is sent meanwhile is only roughly taken out
            and now["highest"]["client"] < 0.1 * now["ceiling"]["client"]
        )

    now = until_blocking(
        curves, is_so, within_seconds=120, every_seconds=1, retry_on=(KeyError, httpx.HTTPError), what="20 s so"
    )
    assert now["highest"]["slow-client"] <= now["bound"]["slow-client"], now


def test_three_clients_are_three_targets_without_a_restart_of_prometheus(stack: Any, prometheus: Any):
    started_at = stack.containers()["prometheus-1"]["State"]["StartedAt"]
    stack("up", "--detach", "--wait", "--no-deps", "--scale", "client=3", "client")

    until_blocking(
        lambda: prometheus.get("/query", query='up{job="client"} == 1')["result"],
        lambda result: len(result) == 4,
        within_seconds=40,
        every_seconds=0.5,
        what="three clients and the slow one up",
    )
    names = until_blocking(
        lambda: {
            each["metric"]["client"]
            for each in prometheus.get("/query", query="flowcontrol_server_streams == 1")["result"]
        },
        lambda names: len(names) == 4,
        within_seconds=20,
        every_seconds=0.5,
        what="a series of its own for each client",
    )
    assert sorted(name.rpartition("-")[0] for name in names) == ["client", "client", "client", "slow-client"]
    assert stack.containers()["prometheus-1"]["State"]["StartedAt"] == started_at

    stack("up", "--detach", "--wait", "--no-deps", "--scale", "client=1", "client")


def test_sigterm_ends_each_with_status_0(stack: Any):
    stack("stop", "--timeout", "20")
    try:
        ended = {
            name: (each["State"]["Status"], each["State"]["ExitCode"], each["State"]["OOMKilled"])
            for name, each in stack.containers().items()
        }
        assert ended == dict.fromkeys(CONTAINERS, ("exited", 0, False))
    finally:
        stack("up", "--detach", "--wait", "--no-recreate", *("server", "client", "slow-client", "prometheus"))
