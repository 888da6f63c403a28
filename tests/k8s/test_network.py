"""The NetworkPolicies as a table: who may talk to whom, on which port; and nobody else."""

from __future__ import annotations

import itertools
import re

import pytest

from manifests import DEFAULT, KIND, OPENSHIFT, OPERATOR, REPOSITORY, TLS, containers, named, of_kind, workloads
from network_policies import Pod, allows, may_talk, pods_of

CLIENT_EDGES = {("client", "server", 4444), ("slow-client", "server", 4444)}
EDGES = {
    DEFAULT: CLIENT_EDGES
    | {
        ("prometheus", "server", 2112),
        ("prometheus", "client", 2113),
        ("prometheus", "slow-client", 2113),
        ("grafana", "prometheus", 9090),
        ("grafana", "renderer", 8081),
        ("renderer", "grafana", 3000),
    },
    OPERATOR: CLIENT_EDGES,
}
EDGES |= dict.fromkeys((KIND, TLS, OPENSHIFT), EDGES[DEFAULT])

DNS = Pod.of("coredns", "kube-system", {"k8s-app": "kube-dns"})
OPENSHIFT_DNS = Pod.of("dns-default", "openshift-dns", {"dns.operator.openshift.io/daemonset-dns": "default"})
OTHERS = [
    Pod.of("api", "kube-system", {"component": "kube-apiserver"}),
    Pod.of("neighbour", "backpressure", {}),
    # the right labels in another namespace
    Pod.of("client", "elsewhere", {"app.kubernetes.io/name": "client"}),
    Pod.of("prometheus", "elsewhere", {"app.kubernetes.io/name": "prometheus"}),
    Pod.of("kube-dns", "elsewhere", {"k8s-app": "kube-dns"}),
]
PORTS = (53, 80, 5353, 443, 2112, 2113, 3000, 4444, 6443, 8081, 9090)


@pytest.mark.parametrize("target", EDGES)
def test_pods_talk_along_these_edges_and_no_other(target: str) -> None:
    pods = pods_of(target)
    found = {
        (source.name, destination.name, port)
        for source, destination in itertools.product(pods, pods)
        for port in PORTS
        if may_talk(target, source, destination, port)
    }
    assert found == EDGES[target]


@pytest.mark.parametrize("target", EDGES)
def test_each_end_opens_no_more_than_the_other_needs(target: str) -> None:
    pods = pods_of(target)
    for source, destination, port in itertools.product(pods, pods, PORTS):
        is_edge = (source.name, destination.name, port) in EDGES[target]
        assert allows(target, "Egress", source, destination, port) is is_edge, f"{source.name} to {destination.name}"
        assert allows(target, "Ingress", destination, source, port) is is_edge, f"{source.name} to {destination.name}"


@pytest.mark.parametrize("target", EDGES)
def test_a_pod_that_nobody_thought_of_is_closed(target: str) -> None:
    deny = named(target, "NetworkPolicy", "default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize("target", EDGES)
def test_pods_may_ask_the_clusters_dns_and_nothing_else_outside(target: str) -> None:
    dns, at, no_dns = (OPENSHIFT_DNS, 5353, DNS) if target == OPENSHIFT else (DNS, 53, OPENSHIFT_DNS)
    for pod in pods_of(target):
        assert may_talk(target, pod, dns, at, "UDP"), pod.name
        assert may_talk(target, pod, dns, at, "TCP"), pod.name
        assert not may_talk(target, pod, dns, 9153), pod.name
        for other, port, protocol in itertools.product([*OTHERS, no_dns], PORTS, ("TCP", "UDP")):
            assert not may_talk(target, pod, other, port, protocol), f"{pod.name} to {other}, {port}"


@pytest.mark.parametrize("target", EDGES)
def test_nobody_from_outside_reaches_a_pod(target: str) -> None:
    monitoring = Pod.of("prometheus", "monitoring", {"app.kubernetes.io/name": "prometheus"})
    for pod in pods_of(target):
        for other, port in itertools.product([*OTHERS, DNS], PORTS):
            assert not may_talk(target, other, pod, port), f"{other} to {pod.name}, {port}"
        reached = {port for port in PORTS if may_talk(target, monitoring, pod, port)}
        metrics = {2112} if pod.name == "server" else {2113}
        assert reached == (metrics if target == OPERATOR else set()), pod.name


@pytest.mark.parametrize("target", EDGES)
def test_every_port_in_a_policy_is_one_that_a_container_has(target: str) -> None:
    listening = {
        port["containerPort"] for each in workloads(target) for one in containers(each) for port in one.get("ports", [])
    }
    for policy in of_kind(target, "NetworkPolicy"):
        if policy["metadata"]["name"] == "dns":
            continue
        for rule in [*(policy["spec"].get("ingress") or []), *(policy["spec"].get("egress") or [])]:
            assert {port["port"] for port in rule["ports"]} <= listening, policy["metadata"]["name"]


def test_the_evaluation_sees_an_edge_that_is_open_and_one_that_is_closed() -> None:
    # the evaluation itself can be wrong: a pod that no policy selects is open both ways
    open_pods = [Pod.of(name, "without-policies", {}) for name in ("a", "b")]
    assert may_talk(DEFAULT, *open_pods, 80)
    assert not may_talk(DEFAULT, open_pods[0], pods_of(DEFAULT)[0], 80)


def test_the_table_in_the_documentation_is_this_one() -> None:
    text = (REPOSITORY / "docs/kubernetes.md").read_text()
    rows = re.findall(r"^\| (`.*?) \| (`.*?) \| (\d+)", text, re.MULTILINE)
    edges = {
        (source, destination, int(port))
        for sources, destinations, port in rows
        for source in re.findall(r"`([a-z-]+)`", sources)
        for destination in re.findall(r"`([a-z-]+)`", destinations)
    }
    assert edges == EDGES[DEFAULT]
