"""The overlay for the Prometheus Operator, checked against the operator's own schemas."""

from __future__ import annotations

import copy
import sys
from typing import Any

import pytest
import yaml

from manifests import (
    OPERATOR,
    REPOSITORY,
    Object,
    main_container,
    named,
    objects,
    of_kind,
    pod_labels,
    prometheus_config,
    selects,
    workloads,
)
from operator_schemas import faults

ENDPOINT_FIELDS = {"port", "interval", "scrapeTimeout", "relabelings"}


def test_our_own_prometheus_and_grafana_are_not_there() -> None:
    assert {each["metadata"]["name"] for each in workloads(OPERATOR)} == {"server", "client", "slow-client"}
    assert {each["metadata"]["name"] for each in of_kind(OPERATOR, "ConfigMap")} == {"grafana-dashboards"}


@pytest.mark.parametrize(
    ("kind", "endpoints"), [("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")]
)
def test_a_monitor_scrapes_as_our_own_prometheus_does(kind: str, endpoints: str) -> None:
    (monitor,) = of_kind(OPERATOR, kind)
    assert monitor["spec"].keys() == {"selector", endpoints}
    (endpoint,) = monitor["spec"][endpoints]
    own = prometheus_config()

    assert endpoint.keys() == ENDPOINT_FIELDS
    assert endpoint["interval"] == own["global"]["scrape_interval"]
    assert endpoint["scrapeTimeout"] == own["global"]["scrape_timeout"]
    job, app = endpoint["relabelings"]
    assert job.keys() == {"targetLabel", "replacement"}
    assert job["targetLabel"] == "job"
    assert job["replacement"] in {each["job_name"] for each in own["scrape_configs"]}
    for each in own["scrape_configs"]:
        (label,) = each["relabel_configs"]
        assert app == {"targetLabel": label["target_label"], "replacement": label["replacement"]}


def test_each_workload_is_selected_by_exactly_one_monitor_under_its_own_job() -> None:
    jobs = {
        sd_name: job["job_name"]
        for job in prometheus_config()["scrape_configs"]
        for sd in job["dns_sd_configs"]
        for sd_name in sd["names"]
    }
    found = {}
    (service_monitor,) = of_kind(OPERATOR, "ServiceMonitor")
    for service in of_kind(OPERATOR, "Service"):
        if selects(service_monitor["spec"]["selector"], service["metadata"]["labels"]):
            (endpoint,) = service_monitor["spec"]["endpoints"]
            assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
            found[service["metadata"]["name"]] = endpoint["relabelings"][0]["replacement"]
    (pod_monitor,) = of_kind(OPERATOR, "PodMonitor")
    for workload in workloads(OPERATOR):
        if selects(pod_monitor["spec"]["selector"], pod_labels(workload)):
            assert workload["metadata"]["name"] not in found
            (endpoint,) = pod_monitor["spec"]["podMetricsEndpoints"]
            assert endpoint["port"] in {port["name"] for port in main_container(workload)["ports"]}
            found[workload["metadata"]["name"]] = endpoint["relabelings"][0]["replacement"]
    assert found == jobs


def test_the_rules_are_generated_from_those_of_obs() -> None:
    sys.path.insert(0, str(REPOSITORY / "k8s/scripts"))
    try:
        import generate_rules
    finally:
        sys.path.pop(0)
    assert generate_rules.OUTPUT.read_text() == generate_rules.prometheus_rule(), "run `make k8s-rules`"


def test_the_rules_are_all_of_obs() -> None:
    (rule,) = of_kind(OPERATOR, "PrometheusRule")
    sources = sorted((REPOSITORY / "obs/prometheus/rules").glob("*.yml"))
    assert rule["spec"] == {
        "groups": [group for path in sources for group in yaml.safe_load(path.read_text())["groups"]]
    }


def test_every_object_is_what_the_operator_says_to_the_field() -> None:
    assert len(operated()) == 3
    for thing in operated():
        assert faults(thing) == []


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("ServiceMonitor", ("spec", "endpoints", 0, "scrapeTimeouts"), "4s"),
        ("PodMonitor", ("spec", "podMetricsEndpoints", 0, "interval"), "five"),
        ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "expresion"), "up"),
    ],
)
def test_a_misspelt_or_mistyped_field_is_found(kind: str, path: tuple[str | int, ...], value: object) -> None:
    (thing,) = copy.deepcopy(of_kind(OPERATOR, kind))
    at: Any = thing
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    assert len(faults(thing)) == 1


def test_the_dashboards_are_labelled_for_the_sidecar_under_a_name_that_stays() -> None:
    dashboards = named(OPERATOR, "ConfigMap", "grafana-dashboards")
    assert dashboards["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert dashboards["data"].keys() == {path.name for path in (REPOSITORY / "obs/grafana/dashboards").glob("*.json")}


def operated() -> list[Object]:
    """Return what the operator reads."""
    return [each for each in objects(OPERATOR) if each["apiVersion"] == "monitoring.coreos.com/v1"]


def test_the_operator_selects_what_is_labelled_for_it() -> None:
    assert {each["metadata"]["labels"]["release"] for each in operated()} == {"kube-prometheus-stack"}
