"""NetworkPolicies, evaluated as a cluster does: who may open a connection to whom, on which port."""

from __future__ import annotations

from dataclasses import dataclass

from manifests import Object, of_kind, pod_labels, selects, workloads

NAMESPACE_NAME = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Pod:
    """A pod as policies see it: where it is, and its labels."""

    name: str
    namespace: str
    labels: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, name: str, namespace: str, labels: dict[str, str]) -> Pod:
        """Return a pod with these labels."""
        return cls(name, namespace, tuple(sorted(labels.items())))


def pods_of(target: str) -> list[Pod]:
    """Return one pod for each workload that is rendered."""
    return [
        Pod.of(each["metadata"]["name"], each["metadata"]["namespace"], pod_labels(each)) for each in workloads(target)
    ]


def may_talk(target: str, source: Pod, destination: Pod, port: int, protocol: str = "TCP") -> bool:
    """Tell whether the policies let `source` connect to `destination`: both ends must allow it."""
    return allows(target, "Egress", source, destination, port, protocol) and allows(
        target, "Ingress", destination, source, port, protocol
    )


def allows(target: str, direction: str, pod: Pod, peer: Pod, port: int, protocol: str = "TCP") -> bool:
    """Tell whether `pod`, its own end alone, lets a connection out to `peer` (Egress) or in from it (Ingress)."""
    policies = [
        policy
        for policy in of_kind(target, "NetworkPolicy")
        if policy["metadata"]["namespace"] == pod.namespace
        and direction in policy["spec"]["policyTypes"]
        and selects(policy["spec"]["podSelector"], dict(pod.labels))
    ]
    if not policies:
        return True  # a pod that no policy selects is open
    side = "to" if direction == "Egress" else "from"
    return any(
        _matches(rule.get(side), peer, pod.namespace) and _opens(rule.get("ports"), port, protocol)
        for policy in policies
        for rule in policy["spec"].get(direction.lower()) or []
    )


def _matches(peers: list[Object] | None, peer: Pod, own_namespace: str) -> bool:
    return peers is None or any(_is_peer(selector, peer, own_namespace) for selector in peers)


def _is_peer(selector: Object, peer: Pod, own_namespace: str) -> bool:
    assert selector.keys() <= {"podSelector", "namespaceSelector"}, selector
    if "namespaceSelector" in selector:
        in_namespace = selects(selector["namespaceSelector"], {NAMESPACE_NAME: peer.namespace})
    else:
        in_namespace = peer.namespace == own_namespace
    return in_namespace and selects(selector.get("podSelector", {}), dict(peer.labels))


def _opens(ports: list[Object] | None, port: int, protocol: str) -> bool:
    # by number alone: not every network plug-in resolves a name
    return ports is None or any(each["port"] == port and each.get("protocol", "TCP") == protocol for each in ports)
