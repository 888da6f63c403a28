"""The component for TLS: what it names is there, and it holds in every overlay that it is put into."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab.certs.command import NAMES
from stock_client.settings import ClientSettings
from stock_server.settings import ServerSettings

from manifests import (
    DEFAULT,
    KIND,
    OPERATOR,
    REPOSITORY,
    TLS,
    Object,
    environment,
    main_container,
    named,
    of_kind,
    pod_spec,
    render,
    workloads,
)
from operator_schemas import faults

FILES = {"tls.crt", "tls.key", "ca.crt"}
"""What cert-manager writes into a Secret."""


def folders_of(workload: Object) -> dict[str, str]:
    """Return the Secret in each folder that the container has one in."""
    volumes = {volume["name"]: volume.get("secret", {}).get("secretName") for volume in pod_spec(workload)["volumes"]}
    mounts = main_container(workload)["volumeMounts"]
    return {
        mount["mountPath"]: volumes[mount["name"]] for mount in mounts if str(volumes.get(mount["name"]))[-4:] == "-tls"
    }


def test_every_setting_names_a_file_of_a_secret_and_every_secret_can_be_made() -> None:
    secrets = set()
    for name, settings in (("server", ServerSettings), ("client", ClientSettings), ("slow-client", ClientSettings)):
        workload = named(TLS, "Deployment", name)
        folders = folders_of(workload)
        prefix = settings.model_config["env_prefix"]
        named_files = {
            variable: value for variable, value in environment(main_container(workload)).items() if "TLS" in variable
        }
        if server_name := named_files.pop("STOCK_CLIENT_TLS_SERVER_NAME", ""):
            assert server_name == NAMES["server"][0]
        assert {variable.removeprefix(prefix).lower() for variable in named_files} <= settings.model_fields.keys()
        for path in named_files.values():
            folder, _, file = path.rpartition("/")
            assert folder in folders
            assert file in FILES
        assert folders == {"/tls": f"{name}-tls", "/metrics-tls": "metrics-tls"}
        secrets |= set(folders.values())
    secrets |= set(folders_of(named(TLS, "StatefulSet", "prometheus")).values())
    assert secrets == {f"{name}-tls" for name in NAMES}


def test_a_folder_is_mounted_whole_so_that_a_renewed_certificate_comes_in() -> None:
    for workload in workloads(TLS):
        for mount in main_container(workload).get("volumeMounts", []):
            assert "tls" not in mount["name"] or "subPath" not in mount


def test_all_probes_ask_the_metrics_ports_for_kubernetes_has_no_certificate() -> None:
    for name in ("server", "client", "slow-client"):
        container = main_container(named(TLS, "Deployment", name))
        before = main_container(named(DEFAULT, "Deployment", name))
        assert not any("METRICS_TLS_CLIENT_CA" in variable for variable in environment(container))
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            how = dict(container[probe])
            ask = how.pop("httpGet")
            assert (ask["scheme"], ask["port"]) == ("HTTPS", "metrics")
            assert how == {key: value for key, value in before[probe].items() if key not in ("grpc", "httpGet")}


def test_prometheus_reads_the_configuration_for_tls() -> None:
    prometheus = named(TLS, "StatefulSet", "prometheus")
    (config,) = (
        mount
        for mount in main_container(prometheus)["volumeMounts"]
        if mount["mountPath"] == "/etc/prometheus/prometheus.yml"
    )
    jobs = yaml.safe_load((REPOSITORY / "obs/prometheus" / config["subPath"]).read_text())["scrape_configs"]
    (folder,) = folders_of(prometheus)
    for job in jobs:
        files = job["tls_config"]
        assert {files[key] for key in ("ca_file", "cert_file", "key_file")} == {f"{folder}/{file}" for file in FILES}
        assert files["server_name"] == NAMES["metrics"][0]
    assert all("appProtocol" not in port for port in named(TLS, "Service", "server")["spec"]["ports"])


@pytest.mark.parametrize("overlay", [KIND, OPERATOR])
def test_it_goes_into_other_overlays_too(tmp_path: Path, overlay: str) -> None:
    up = "../" * (len(tmp_path.parts) - 1)
    place = f"{up}{str(REPOSITORY).lstrip('/')}"
    kustomization = {"resources": [f"{place}/{overlay}"], "components": [f"{place}/k8s/components/tls"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    rendered = list(yaml.safe_load_all(render(str(tmp_path))))
    for monitor in (each for each in rendered if each["kind"] in ("ServiceMonitor", "PodMonitor")):
        (endpoint,) = monitor["spec"].get("endpoints") or monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["scheme"] == "https"
        assert faults(monitor) == []
        assert endpoint["tlsConfig"]["serverName"] == NAMES["metrics"][0]
        assert endpoint["tlsConfig"]["ca"]["secret"] == {"name": "metrics-tls", "key": "ca.crt"}
    (server,) = (each for each in rendered if each["kind"] == "Deployment" and each["metadata"]["name"] == "server")
    assert folders_of(server) == {"/tls": "server-tls", "/metrics-tls": "metrics-tls"}


def test_the_default_has_no_tls_and_waits_for_no_secret() -> None:
    for workload in of_kind(DEFAULT, "Deployment", "StatefulSet"):
        assert not any("TLS" in variable for variable in environment(main_container(workload)))
