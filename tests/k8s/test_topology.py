"""Kubernetes, Compose and Prometheus mean the same things by the same names: a name changed in one place fails."""

from __future__ import annotations

import re

import pytest
import yaml

from manifests import (
    DEFAULT,
    KIND,
    REPOSITORY,
    TARGETS,
    compose,
    containers,
    environment,
    main_container,
    name_of,
    named,
    of_kind,
    pod_labels,
    prometheus_config,
    selects,
    workloads,
)

ONE_SHOT = {"renderer-token"}  # in Kubernetes an init container does it
GRAFANA_INI = (REPOSITORY / "obs/grafana/grafana.ini").read_text()


def services_of(target: str) -> dict[str, dict[str, int]]:
    """Return the ports of the containers behind each service, by the service's name and the ports' names."""
    found = {}
    for service in of_kind(target, "Service"):
        (behind,) = (
            each
            for each in workloads(target)
            if selects({"matchLabels": service["spec"]["selector"]}, pod_labels(each))
        )
        ports = {port["name"]: port["containerPort"] for port in main_container(behind)["ports"]}
        for port in service["spec"]["ports"]:
            assert port["port"] == ports[port["targetPort"]], f"{name_of(service)}: {port}"
        found[service["metadata"]["name"]] = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    return found


def test_there_is_a_service_for_each_of_compose_by_the_same_name() -> None:
    names = set(compose()["services"]) - ONE_SHOT
    assert set(services_of(DEFAULT)) == names
    assert {each["metadata"]["name"] for each in workloads(DEFAULT)} == names


def test_prometheus_finds_every_target_by_the_name_and_port_of_its_configuration() -> None:
    services = services_of(DEFAULT)
    asked = {
        (name, sd["port"])
        for job in prometheus_config()["scrape_configs"]
        for sd in job["dns_sd_configs"]
        for name in sd["names"]
    }
    assert asked == {(name, ports["metrics"]) for name, ports in services.items() if "metrics" in ports}
    for name, _ in asked:
        service = named(DEFAULT, "Service", name)
        assert service["spec"]["clusterIP"] == "None", f"{name} would be one address, not one for each replica"
        # asked for both types of address, it must have one: a target that is found twice is counted twice
        assert service["spec"]["ipFamilyPolicy"] == "SingleStack"
        # a client's numbers are wanted most when it is not well; a server that is not ready gets no new streams
        assert service["spec"].get("publishNotReadyAddresses", False) is (name != "server")


@pytest.mark.parametrize("name", ["client", "slow-client"])
def test_a_client_has_the_settings_of_compose(name: str) -> None:
    ours = environment(main_container(named(DEFAULT, "Deployment", name)))
    address = ours.pop("STOCK_CLIENT_SERVER_ADDRESS")
    assert address == "server.backpressure.svc.cluster.local.:4444", "not absolute"
    ours["STOCK_CLIENT_SERVER_ADDRESS"] = address.replace(".backpressure.svc.cluster.local.", "")
    set_there = {key: default_of(str(value or "")) for key, value in compose()["services"][name]["environment"].items()}
    theirs = {key: value for key, value in set_there.items() if value}  # an empty one is the program's own
    theirs.pop("STOCK_CLIENT_OVERRIDES", None)  # for variables of .env, which a pod has not
    theirs["STOCK_CLIENT_NAME"] = "{host}"  # a pod's name says already whose replica it is
    assert ours == theirs


def default_of(value: str) -> str:
    """Return what Compose makes of a value where no variable is set: ${A:-b} is b, also nested."""
    while match := re.search(r"\$\{\w+:[-+]([^${}]*)\}", value):
        value = value.replace(match[0], match[1] if ":-" in match[0] else "")
    return value


def test_every_image_is_that_of_compose() -> None:
    for workload in workloads(DEFAULT):
        name = workload["metadata"]["name"]
        image = default_of(compose()["services"][name]["image"])
        ours = main_container(workload)["image"].removeprefix(
            "docker.io/"
        )  # which the engine of Compose puts before it
        assert ours == image or ours.startswith(f"{image}:"), name
        for container in containers(workload):
            assert re.search(r":v?\d", container["image"]), f"{container['image']} is not pinned to a version"
        version = workload["metadata"]["labels"]["app.kubernetes.io/version"]
        assert ours.endswith((f":{version}", f":v{version}")), name


@pytest.mark.parametrize("target", [DEFAULT, KIND])
def test_prometheus_is_started_as_in_compose_but_for_the_size_it_keeps(target: str) -> None:
    size = "--storage.tsdb.retention.size="
    ours = main_container(named(target, "StatefulSet", "prometheus"))["args"]
    theirs = [default_of(argument) for argument in compose()["services"]["prometheus"]["command"]]
    assert [arg for arg in ours if not arg.startswith(size)] == [arg for arg in theirs if not arg.startswith(size)]
    assert len(ours) == len(theirs)


@pytest.mark.parametrize("name", ["server", "client", "slow-client", "prometheus", "grafana", "renderer"])
def test_memory_is_limited_as_in_compose(name: str) -> None:
    (workload,) = (each for each in workloads(DEFAULT) if each["metadata"]["name"] == name)
    limit = default_of(compose()["services"][name]["deploy"]["resources"]["limits"]["memory"])
    assert main_container(workload)["resources"]["limits"]["memory"] == f"{limit}i"  # Compose's M is 1,048,576 too


def test_grafana_reaches_prometheus_and_the_renderer_by_names_and_ports_that_exist() -> None:
    addresses = {(name, port) for name, ports in services_of(DEFAULT).items() for port in ports.values()}
    provisioned = (REPOSITORY / "obs/grafana/provisioning/datasources").glob("*.yml")
    urls = [source["url"] for file in provisioned for source in yaml.safe_load(file.read_text())["datasources"]]
    urls += re.findall(r"^(?:server|callback)_url = (.*)$", GRAFANA_INI, re.MULTILINE)

    assert len(urls) == 3
    for url in urls:
        match = re.fullmatch(r"http://([a-z-]+):(\d+)(/.*)?", url)
        assert match, url
        assert (match[1], int(match[2])) in addresses, url


def test_what_grafana_reads_is_mounted_where_its_configuration_says() -> None:
    mounts = {
        mount["mountPath"]: mount["name"]
        for mount in main_container(named(DEFAULT, "Deployment", "grafana"))["volumeMounts"]
    }
    provider = yaml.safe_load((REPOSITORY / "obs/grafana/provisioning/dashboards/dashboards.yml").read_text())
    (path,) = (each["options"]["path"] for each in provider["providers"])
    home = re.search(r"^default_home_dashboard_path = (.*)$", GRAFANA_INI, re.MULTILINE)
    token = re.search(r"^renderer_token = \$__file\{(.*)\}$", GRAFANA_INI, re.MULTILINE)

    assert mounts[path] == "dashboards"
    assert home
    assert home[1].rpartition("/")[0] == path
    assert token
    assert mounts[token[1].rpartition("/")[0]] == "handed-over"


def test_the_config_maps_hold_every_file_of_obs_and_no_other() -> None:
    # kustomize cannot name a folder, so obs/kustomization.yaml lists files, and this compares
    obs = REPOSITORY / "obs"
    folders = {
        "prometheus": ("prometheus", "*.yml"),
        "prometheus-rules": ("prometheus/rules", "*.yml"),
        "grafana": ("grafana", "*.ini"),
        "grafana-datasources": ("grafana/provisioning/datasources", "*"),
        "grafana-dashboard-providers": ("grafana/provisioning/dashboards", "*"),
        "grafana-dashboards": ("grafana/dashboards", "*.json"),
    }
    maps = {
        re.sub(r"-[a-z0-9]{10}$", "", each["metadata"]["name"]): each["data"] for each in of_kind(DEFAULT, "ConfigMap")
    }
    assert maps.keys() - folders.keys() == {"grafana-secrets-script"}
    for name, (folder, pattern) in folders.items():
        files = {path.name: path.read_text() for path in (obs / folder).glob(pattern) if path.is_file()}
        assert files, folder
        assert maps[name] == files, f"obs/kustomization.yaml, {name}, does not list the files of obs/{folder}"
    assert {path.name for path in (obs / "grafana/provisioning").iterdir()} == {"datasources", "dashboards"}


def test_a_changed_file_gets_another_name_so_that_its_pods_start_anew() -> None:
    for config_map in of_kind(DEFAULT, "ConfigMap"):
        assert re.search(r"-[a-z0-9]{10}$", config_map["metadata"]["name"])


def test_images_that_others_make_are_named_with_their_registry() -> None:
    for target in TARGETS:
        for container in (each for one in workloads(target) for each in containers(one)):
            assert container["image"].startswith(("backpressure-", "docker.io/")), container["image"]


def test_one_line_points_every_container_of_an_image_elsewhere() -> None:
    for target in TARGETS:
        ours = {
            c["image"] for each in workloads(target) for c in containers(each) if c["image"].startswith("backpressure-")
        }
        assert len(ours) == 2, f"{target}: {ours}"


def test_the_kind_overlay_pulls_no_image_of_ours_and_asks_for_little() -> None:
    for workload in workloads(KIND):
        for container in containers(workload):
            if container["image"].startswith("backpressure-"):
                assert container["image"].endswith(":kind")
                assert container["imagePullPolicy"] == "Never"
        assert main_container(workload)["resources"]["requests"] == {
            "cpu": "25m",
            "memory": "64Mi",
            "ephemeral-storage": "64Mi",
        }
