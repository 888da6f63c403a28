"""Prometheus and promtool for tests: those of `make tools` or on PATH, else those of the image that Compose runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from needs import TOP, lack, tool
from processes import free_port
from waiting import until_blocking

RULES = TOP / "obs" / "prometheus"
DOCKER = shutil.which("docker")


def image() -> str:
    """Return the image that `compose.yaml` names by default."""
    found = re.search(r"\$\{PROMETHEUS_IMAGE:-(\S+)\}", (TOP / "compose.yaml").read_text())
    assert found, "compose.yaml names no image of Prometheus"
    return found[1]


def command(program: str, *folders: Path) -> list[str]:
    """Return the start of a command that runs `program`, which sees these folders under their own paths.

    Skips the test where there is neither the program nor its image, and fails it there where CI=true.
    """
    if found := tool(program):
        return [found]
    if DOCKER is not None and _answers(DOCKER, "image", "inspect", image()):
        mounts = [part for folder in folders for part in ("-v", f"{folder}:{folder}")]
        user = f"{os.getuid()}:{os.getgid()}"
        return [DOCKER, "run", "--rm", "--network=host", f"--user={user}", *mounts, f"--entrypoint={program}", image()]
    return lack(program, "make tools")


def _answers(*arguments: str) -> bool:
    try:
        return subprocess.run(arguments, capture_output=True, check=False, timeout=20).returncode == 0
    except subprocess.TimeoutExpired:
        return False


EVERY_SECOND = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{folder}/rules/*.yml"]
scrape_configs:
  - job_name: server
    file_sd_configs: [{{files: ["{folder}/server.json"], refresh_interval: 1s}}]
    relabel_configs: [{{target_label: app, replacement: backpressure}}]
  - job_name: client
    file_sd_configs: [{{files: ["{folder}/client.json"], refresh_interval: 1s}}]
    relabel_configs: [{{target_label: app, replacement: backpressure}}]
"""
"""A configuration for short tests, for which `write_rules` and `write_targets` write the rest."""


def write_rules(folder: Path) -> None:
    """Copy the rules of obs/, evaluated every second."""
    (folder / "rules").mkdir()
    for path in (RULES / "rules").glob("*.yml"):
        text = path.read_text()
        assert "interval: 5s" in text
        (folder / "rules" / path.name).write_text(re.sub(r"\b(5|10|20)s\b", lambda s: f"{int(s[1]) // 5}s", text))


def write_targets(folder: Path, job: str, *ports: int) -> None:
    """Name the ports of 127.0.0.1 that Prometheus scrapes for a job."""
    (folder / f"{job}.json").write_text(json.dumps([{"targets": [f"127.0.0.1:{port}" for port in ports]}]))


class Prometheus:
    """A running Prometheus, asked over its HTTP API."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self.url = str(http.base_url)

    def get(self, path: str, **parameters: str | float) -> Any:
        """Return the data of an answer. Raises AssertionError with Prometheus' complaint."""
        answer = self._http.get(f"/api/v1/{path}", params=parameters)
        assert answer.is_success, f"{parameters}: {answer.text}"
        return answer.json()["data"]

    def query(self, expr: str) -> list[Any]:
        """Return the series that a query has now."""
        return list(self.get("query", query=expr)["result"])

    def by_client(self, expr: str) -> dict[str, float]:
        """Return the value that a query has now for each client."""
        return {each["metric"]["client"]: float(each["value"][1]) for each in self.query(expr)}


@contextmanager
def running_prometheus(folder: Path, configuration: str, *flags: str) -> Iterator[Prometheus]:
    """Run Prometheus on a configuration, with its data in `folder`, until it is no longer needed."""
    config = folder / "prometheus.yml"
    config.write_text(configuration)
    port = free_port()
    data = folder / "data"
    arguments = [
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{port}",
        *flags,
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([*command("prometheus", folder), *arguments], stdout=log, stderr=log)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
                until_blocking(
                    lambda: http.get("/-/ready").is_success,
                    within_seconds=20,
                    retry_on=httpx.HTTPError,
                    what=f"Prometheus is ready: {(folder / 'prometheus.log')}",
                )
                yield Prometheus(http)
        finally:
            process.terminate()
            process.wait(20)
