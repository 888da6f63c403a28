"""What pods keep: on a node, and in a claim."""

from __future__ import annotations

import pytest

from manifests import (
    DEFAULT,
    TARGETS,
    main_container,
    name_of,
    named,
    of_kind,
    pod_labels,
    pod_spec,
    selects,
    workloads,
)


@pytest.mark.parametrize("target", TARGETS)
def test_a_pod_may_fill_its_volumes_and_the_nodes_log_files(target: str) -> None:
    logs = 5 * 10  # MiB: what kubelet keeps of a container by default, containerLogMaxFiles and containerLogMaxSize
    for workload in workloads(target):
        volumes = [each["emptyDir"] for each in pod_spec(workload).get("volumes", []) if "emptyDir" in each]
        on_disk = sum(mebibytes(each["sizeLimit"]) for each in volumes if each.get("medium") != "Memory")
        limit = mebibytes(main_container(workload)["resources"]["limits"]["ephemeral-storage"])
        assert on_disk + logs <= limit, name_of(workload)


def mebibytes(size: str) -> int:
    assert size.endswith("Mi"), size
    return int(size.removesuffix("Mi"))


@pytest.mark.parametrize("target", TARGETS)
def test_a_stateful_set_names_a_headless_service_that_has_its_pods(target: str) -> None:
    for workload in of_kind(target, "StatefulSet"):
        service = named(target, "Service", workload["spec"]["serviceName"])["spec"]
        assert service["clusterIP"] == "None"
        assert selects({"matchLabels": service["selector"]}, pod_labels(workload))


def test_prometheus_keeps_less_than_its_claim_holds() -> None:
    prometheus = named(DEFAULT, "StatefulSet", "prometheus")
    (claim,) = prometheus["spec"]["volumeClaimTemplates"]
    size = claim["spec"]["resources"]["requests"]["storage"]
    (kept,) = (arg for arg in main_container(prometheus)["args"] if arg.startswith("--storage.tsdb.retention.size="))

    assert size.endswith("Gi")
    assert kept.endswith("GB")  # Prometheus' GB are GiB
    # https://prometheus.io/docs/prometheus/latest/storage: 80 to 85 % of the disk at most
    assert int(kept.removesuffix("GB").rpartition("=")[2]) <= 0.85 * int(size.removesuffix("Gi"))
