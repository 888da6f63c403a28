"""A server, a client and Prometheus in a pod's network, as their images start them; prints what came of it, as JSON.

`python pod_scene.py PROMETHEUS SERVER_ADDRESS`, inside of `pod_network.in_pod`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from processes import HTTP, Service, ask_health
from waiting import until_blocking

OBS = Path(__file__).parents[2] / "obs/prometheus"
WITHIN_SECONDS = 60.0


def main(prometheus: str, server_address: str) -> None:
    """Run all three until each target answers."""
    folder = Path(tempfile.mkdtemp())
    server = Service("stock_server", [], folder / "server")
    client = Service("stock_client", ["--server-address", server_address, "--name", "client"], folder / "client")
    flags = [f"--config.file={OBS}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "prometheus.log").open("w") as log:
        watching = subprocess.Popen([prometheus, *flags, "--web.listen-address=:9090"], stderr=log)
    try:
        client.metric_reaches("stock_updates_received_total", bool, WITHIN_SECONDS)
        found = until_blocking(targets, all_up, within_seconds=WITHIN_SECONDS, retry_on=httpx.HTTPError)
        health = [ask_health("stock_server"), ask_health("stock_client")]
        sys.stdout.write(json.dumps({"targets": found, "health": health}))
    finally:
        for process in (watching, client.process, server.process):
            process.kill()
            process.wait()


def targets() -> list[dict[str, Any]]:
    """Return the targets that Prometheus has found, each with its job, address and health."""
    for host in ("127.0.0.1", "[::1]"):  # as a probe of either family asks
        HTTP.get(f"http://{host}:9090/-/ready").raise_for_status()
    answer = HTTP.get("http://[::1]:9090/api/v1/targets").raise_for_status().json()["data"]["activeTargets"]
    return [
        {"job": each["labels"]["job"], "address": each["labels"]["instance"], "up": each["health"]} for each in answer
    ]


def all_up(found: list[dict[str, Any]]) -> bool:
    """Tell whether both jobs have a target, and each answers."""
    return {each["job"] for each in found} == {"server", "client"} and all(each["up"] == "up" for each in found)


if __name__ == "__main__":
    main(*sys.argv[1:])
