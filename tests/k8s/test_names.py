"""Names and addresses as a pod sees them: of one family or the other, and with no DNS behind the cluster's."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from manifests import DEFAULT, environment, main_container, named
from needs import need_tool
from pod_network import in_pod

SUPPORT = Path(__file__).parents[1] / "support"
LOOPBACK = {"4": "127.0.0.1", "6": "[::1]"}
ADDRESS = environment(main_container(named(DEFAULT, "Deployment", "client")))["STOCK_CLIENT_SERVER_ADDRESS"]

pytestmark = pytest.mark.timeout(160)


@pytest.mark.parametrize("family", LOOPBACK)
def test_in_a_cluster_of_either_family_each_target_is_found_once_and_all_answer(family: str) -> None:
    scene = json.loads(in_pod(family, f"{SUPPORT}/pod_scene.py", need_tool("prometheus"), ADDRESS).stdout)
    assert sorted((each["job"], each["address"], each["up"]) for each in scene["targets"]) == [
        ("client", f"{LOOPBACK[family]}:2113", "up"),
        ("server", f"{LOOPBACK[family]}:2112", "up"),
    ]
    assert scene["health"] == [[0, ""], [0, ""]]


@pytest.mark.parametrize(("address", "asks_outside"), [(ADDRESS, False), ("server:4444", True)])
def test_only_by_a_short_name_a_client_waits_for_the_dns_behind_the_clusters(address: str, asks_outside: bool) -> None:
    done = in_pod("4", f"{SUPPORT}/pod_connects.py", address)
    sys.stdout.write(f"connected to {address} in {done.stdout} s\n")  # docs/kubernetes.md tells both
    assert bool(json.loads(done.stderr.splitlines()[-1])) is asks_outside
