"""Prometheus is stopped, killed and started while it scrapes: the services do not notice.

Grafana and its renderer never ask the services anything, only Prometheus; so it is all that can be in their way.
"""

from __future__ import annotations

import json
from itertools import pairwise

from lab.chaos.docker import container, docker
from lab.chaos.figures import at, events, figures
from lab.chaos.ports import free_port
from lab.chaos.scene import Scene, until
from lab.processes.services import Service, run_client, run_server
from lab.verdict import Claim, at_most, between

IMAGE = "prom/prometheus:v3.5.3"
EVERY_SECONDS = 0.1
LONGEST_GAP_SECONDS = EVERY_SECONDS + 1.0
WAYS = (("stop", "--time", "5"), ("kill",))


async def run(scene: Scene) -> list[Claim]:
    """Run Prometheus beside the services, and end and start it again and again."""
    times, port = scene.many(8, 2), free_port()
    pace = ("--update-interval-seconds", str(EVERY_SECONDS))
    async with run_server(scene.folder, *pace) as server, run_client(scene.folder, "reader", server) as reader:
        config = scene.folder / "prometheus.yml"
        config.write_text(_config(server, reader))
        config.chmod(0o644)
        mounted = (
            "--volume",
            f"{config.absolute()}:/etc/prometheus/prometheus.yml:ro",
            "--network",
            "host",
            "--tmpfs",
            "/data:mode=1777",
        )
        listens = (
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/data",
            f"--web.listen-address=127.0.0.1:{port}",
        )

        async def up() -> int:
            url = f"http://127.0.0.1:{port}/api/v1/query"
            answer = (await scene.http.get(url, params={"query": "up"})).raise_for_status().json()
            return sum(result["value"][1] == "1" for result in answer["data"]["result"])

        for number in range(times):
            scene.say(f"ended {number} of {times} times")
            async with container(*mounted, IMAGE, *listens) as running:
                await until(up, lambda targets: targets == 2, 60, "Prometheus scrapes both services")
                await docker(*WAYS[number % len(WAYS)], running)
        now = await figures(scene.http, reader)
        moments = [at(event) for event in events(scene.folder / "reader.log", "update.processed")]
    gap = max(later - earlier for earlier, later in pairwise(moments))
    wrong = now.sum("stock_client_missed_updates_total") + now.sum("stock_client_repeated_updates_total")
    return [
        between("streams that the client has opened", now.sum("flowcontrol_client_streams_opened_total"), 1, 1),
        at_most("its longest gap", gap, LONGEST_GAP_SECONDS, "s"),
        at_most("updates missed or repeated", wrong, 0),
    ]


def _config(*services: Service) -> str:
    targets = [service.metrics_url.removeprefix("http://").removesuffix("/metrics") for service in services]
    scraped = [{"job_name": "chaos", "static_configs": [{"targets": targets}]}]
    return json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": scraped})
