"""What every pod is: confined, limited, probed, labelled."""

from __future__ import annotations

import pytest

from servicekit.metrics.port import READY_PATH
from stock_client.settings import ClientSettings
from stock_server.settings import ServerSettings
from stock_server.streams.service import SERVICE_NAME

from manifests import (
    OPENSHIFT,
    TARGETS,
    TLS,
    compose,
    containers,
    environment,
    main_container,
    name_of,
    named,
    objects,
    of_kind,
    pod_labels,
    pod_spec,
    selects,
    workloads,
)

TLS_SECRETS = {"server-tls", "client-tls", "slow-client-tls", "prometheus-tls", "metrics-tls"}
"""A pod that needs one waits for it."""

PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


@pytest.mark.parametrize("target", TARGETS)
def test_the_namespace_refuses_pods_that_are_not_restricted(target: str) -> None:
    labels = named(target, "Namespace", "backpressure")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("target", TARGETS)
def test_every_pod_meets_the_restricted_level_and_more(target: str) -> None:
    assert workloads(target)
    for workload in workloads(target):
        name, spec = name_of(workload), pod_spec(workload)
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True, name
        if target == OPENSHIFT:  # it gives each namespace users and a group of its own
            assert not security.keys() & {"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"}, name
        else:
            assert security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & spec.keys(), name
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        for volume in spec.get("volumes", []):
            assert volume.keys() - {"name"} <= {"configMap", "secret", "emptyDir"}, f"{name}: {volume}"
            assert "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"], f"{name}: {volume}"
        for container in containers(workload):
            of_container = f"{name}, {container['name']}"
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, of_container
            assert all("hostPort" not in port for port in container.get("ports", [])), of_container


@pytest.mark.parametrize("target", [target for target in TARGETS if target != OPENSHIFT])
def test_every_user_is_the_one_of_compose(target: str) -> None:
    for workload in workloads(target):
        service = compose()["services"][workload["metadata"]["name"]]
        user, _, _ = service["user"].partition(":")
        assert pod_spec(workload)["securityContext"]["runAsUser"] == int(user), name_of(workload)


@pytest.mark.parametrize("target", TARGETS)
def test_every_container_asks_for_something_and_is_limited(target: str) -> None:
    for workload in workloads(target):
        for container in containers(workload):
            for of in ("requests", "limits"):
                assert container["resources"][of].keys() == {"cpu", "memory", "ephemeral-storage"}, (
                    f"{name_of(workload)}, {container['name']}"
                )


@pytest.mark.parametrize("target", TARGETS)
def test_every_container_that_stays_has_three_probes_on_ports_it_has(target: str) -> None:
    for workload in workloads(target):
        container = main_container(workload)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for probe in PROBES:
            (how,) = container[probe].keys() & {"grpc", "httpGet", "exec", "tcpSocket"}
            assert how in ("grpc", "httpGet"), f"{name_of(workload)}, {probe}"
            port = container[probe][how]["port"]
            assert port in ports or port in ports.values(), f"{name_of(workload)}, {probe}: port {port}"


@pytest.mark.parametrize("target", [target for target in TARGETS if target != TLS])
def test_the_server_is_asked_over_grpc_for_a_service_that_it_answers_for(target: str) -> None:
    container = main_container(named(target, "Deployment", "server"))
    asked = {probe: container[probe]["grpc"].get("service", "") for probe in PROBES}
    assert asked == {"startupProbe": "", "readinessProbe": SERVICE_NAME, "livenessProbe": ""}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("client", ["client", "slow-client"])
def test_a_client_without_a_stream_is_not_ready_and_not_restarted(target: str, client: str) -> None:
    container = main_container(named(target, "Deployment", client))
    asked = {probe: container[probe]["httpGet"]["path"] == READY_PATH for probe in PROBES}
    assert asked == {"startupProbe": False, "readinessProbe": True, "livenessProbe": False}


@pytest.mark.parametrize("target", TARGETS)
def test_a_server_that_drains_is_neither_killed_nor_cut_short(target: str) -> None:
    server = named(target, "Deployment", "server")
    settings = environment(main_container(server))
    drain = float(settings["STOCK_SERVER_DRAIN_DELAY_SECONDS"])
    ends = drain + float(settings["STOCK_SERVER_GRACE_SECONDS"])
    readiness, liveness = (main_container(server)[probe] for probe in ("readinessProbe", "livenessProbe"))

    assert {name.removeprefix("STOCK_SERVER_").lower() for name in settings} <= ServerSettings.model_fields.keys()
    # told that it is not ready, long before it ends its streams
    assert readiness["periodSeconds"] * readiness["failureThreshold"] + readiness["timeoutSeconds"] < drain
    # liveness fails only after the end
    assert liveness["periodSeconds"] * (liveness["failureThreshold"] - 1) > ends
    assert pod_spec(server)["terminationGracePeriodSeconds"] >= ends + 5


@pytest.mark.parametrize("target", TARGETS)
def test_two_servers_are_not_replaced_within_the_life_of_a_dns_answer(target: str) -> None:
    answer_seconds = 30  # `ttl 30` in the CoreDNS configuration of kubeadm
    server = named(target, "Deployment", "server")
    drain = float(environment(main_container(server))["STOCK_SERVER_DRAIN_DELAY_SECONDS"])

    assert server["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert server["spec"]["minReadySeconds"] + drain >= answer_seconds


@pytest.mark.parametrize("target", TARGETS)
def test_the_clients_settings_are_ones_that_the_client_has(target: str) -> None:
    for name in ("client", "slow-client"):
        settings = environment(main_container(named(target, "Deployment", name)))
        fields = {key.removeprefix("STOCK_CLIENT_").lower(): value for key, value in settings.items()}
        assert fields.keys() <= ClientSettings.model_fields.keys()
        fields = {name: value for name, value in fields.items() if "tls" not in name}  # files of a Secret
        loaded = ClientSettings(_cli_parse_args=False, **fields)  # raises where a value is not one
        assert loaded.server_address == "server.backpressure.svc.cluster.local.:4444"


@pytest.mark.parametrize("target", TARGETS)
def test_everything_is_labelled_as_kubernetes_recommends(target: str) -> None:
    for thing in objects(target):
        labels = thing["metadata"].get("labels", {})
        assert labels.get("app.kubernetes.io/part-of") == "backpressure", name_of(thing)
        assert labels.get("app.kubernetes.io/managed-by") == "kustomize", name_of(thing)
    for workload in workloads(target):
        labels = workload["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == workload["metadata"]["name"]
        assert {"app.kubernetes.io/component", "app.kubernetes.io/version"} <= labels.keys()
        assert labels == pod_labels(workload), name_of(workload)


@pytest.mark.parametrize("target", TARGETS)
def test_selectors_match_and_hold_no_label_that_changes(target: str) -> None:
    for workload in workloads(target):
        selector = workload["spec"]["selector"]
        assert selector == {"matchLabels": {"app.kubernetes.io/name": workload["metadata"]["name"]}}
        assert selects(selector, pod_labels(workload))
        for spread in pod_spec(workload).get("topologySpreadConstraints", []):
            assert spread["labelSelector"] == selector
            assert spread["whenUnsatisfiable"] == "ScheduleAnyway"  # one node is a cluster too

    budgets = {each["metadata"]["name"]: each["spec"]["selector"] for each in of_kind(target, "PodDisruptionBudget")}
    assert budgets.keys() == {"server", "client", "slow-client"}
    for name, selector in budgets.items():
        selected = [each["metadata"]["name"] for each in workloads(target) if selects(selector, pod_labels(each))]
        assert selected == [name]

    (scaler,) = of_kind(target, "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "server"}
    for scaled in ("server", "client", "slow-client"):  # else each `kubectl apply` would undo what was scaled
        assert "replicas" not in named(target, "Deployment", scaled)["spec"]


@pytest.mark.parametrize("target", TARGETS)
def test_every_config_map_key_and_volume_that_a_pod_names_exists(target: str) -> None:
    maps = {each["metadata"]["name"]: each["data"].keys() for each in of_kind(target, "ConfigMap")}
    for workload in workloads(target):
        spec = pod_spec(workload)
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        claims = {each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", [])}
        used = set()
        for container in containers(workload):
            for mount in container.get("volumeMounts", []):
                used.add(mount["name"])
                assert mount["name"] in volumes.keys() | claims, f"{name_of(workload)}: {mount}"
                if config_map := volumes.get(mount["name"], {}).get("configMap"):
                    assert mount["readOnly"] is True
                    assert "subPath" not in mount or mount["subPath"] in maps[config_map["name"]], mount
            for variable in container.get("env", []):
                assert "configMapKeyRef" not in variable.get("valueFrom", {})
        assert used == volumes.keys() | claims, f"{name_of(workload)} has a volume that nothing mounts"
        for volume in volumes.values():
            if "configMap" in volume:
                assert volume["configMap"]["name"] in maps, f"{name_of(workload)}: {volume}"


def test_no_secret_is_rendered_and_every_one_that_is_named_is_optional() -> None:
    for target in TARGETS:
        assert not of_kind(target, "Secret")
        for workload in workloads(target):
            for volume in pod_spec(workload).get("volumes", []):
                if "secret" in volume and volume["secret"]["secretName"] not in TLS_SECRETS:
                    assert volume["secret"]["optional"] is True
            for container in containers(workload):
                for variable in container.get("env", []):
                    source = variable.get("valueFrom", {})
                    assert "secretKeyRef" not in source or source["secretKeyRef"]["optional"] is True


@pytest.mark.parametrize("target", TARGETS)
def test_the_server_tells_strangers_nothing_of_itself(target: str) -> None:
    settings = environment(main_container(named(target, "Deployment", "server")))
    assert settings["STOCK_SERVER_REFLECTION"] == settings["STOCK_SERVER_CHANNELZ"] == "false"
