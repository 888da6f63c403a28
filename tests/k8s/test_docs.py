"""docs/kubernetes.md: what it shows is valid, and what it names exists."""

from __future__ import annotations

import re
from collections.abc import Callable

import kubernetes_validate
import pytest
import yaml

from manifests import DEFAULT, REPOSITORY, compose, main_container, named, objects

TEXT = (REPOSITORY / "docs/kubernetes.md").read_text()


def test_objects_in_it_are_valid() -> None:
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]
    networks, *blocks = sorted(blocks, key=lambda block: str(block.get("kind", "")))
    assert networks.keys() == {"networks"}
    assert networks["networks"].keys() == compose()["networks"].keys() | {"default"}
    assert [block["kind"] for block in blocks] == ["HorizontalPodAutoscaler"]
    for block in blocks:
        kubernetes_validate.validate(block, "1.32", strict=True)
    by_cpu, by_streams = named(DEFAULT, "HorizontalPodAutoscaler", "server")["spec"], blocks[0]["spec"]
    assert {**by_streams, "metrics": by_cpu["metrics"]} == by_cpu  # they differ in the metric alone


def test_files_and_make_targets_that_it_names_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z0-9-]+)", TEXT)) <= targets
    paths = set(re.findall(r"(?<![\w/])((?:k8s|obs|tests)/[\w./-]*\w)", TEXT))
    assert len(paths) > 8
    assert not [path for path in paths if not (REPOSITORY / path).exists()]


def test_services_workloads_and_ports_that_it_names_exist() -> None:
    found = {f"{each['kind'].lower()}/{each['metadata']['name']}" for each in objects(DEFAULT)}
    assert set(re.findall(r"\b((?:service|deployment|statefulset)/[a-z-]+)", TEXT)) <= found
    for name, port in re.findall(r"port-forward service/([a-z-]+) (\d+)", TEXT):
        assert int(port) in {each["port"] for each in named(DEFAULT, "Service", name)["spec"]["ports"]}


def test_the_drain_is_as_long_as_it_says() -> None:
    server = named(DEFAULT, "Deployment", "server")
    settings = {each["name"]: each["value"] for each in main_container(server)["env"]}
    probe = main_container(server)["livenessProbe"]

    assert f"serves on for {settings['STOCK_SERVER_DRAIN_DELAY_SECONDS']} s" in TEXT
    assert f"exits within {settings['STOCK_SERVER_GRACE_SECONDS']} s more" in TEXT
    assert f"has been ready for {server['spec']['minReadySeconds']} s" in TEXT
    assert f"({probe['periodSeconds'] * probe['failureThreshold']} s)" in TEXT


class Connection:
    """What a client in the cluster meets at a port: somebody, nobody, or a policy that drops what it sends."""

    @staticmethod
    def opened(address: object, timeout: object) -> None:
        """Open it."""

    @staticmethod
    def refused(address: object, timeout: object) -> None:
        """Find nobody there."""
        raise ConnectionRefusedError(111, "Connection refused")

    @staticmethod
    def dropped(address: object, timeout: object) -> None:
        """Wait in vain."""
        raise TimeoutError("timed out")


@pytest.mark.parametrize("meets", [Connection.opened, Connection.refused, Connection.dropped])
def test_the_check_of_policies_takes_a_time_out_alone_for_a_proof(
    meets: Callable[[object, object], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"python -c '(import socket.*?)'", TEXT)
    assert '("prometheus", 9090)' in code
    monkeypatch.setattr("socket.create_connection", meets)
    try:
        exec(code, {})  # noqa: S102 - ours
        said = capsys.readouterr().out
    except OSError as error:
        said = str(error)
    assert ("timed out" in said) is (meets is Connection.dropped)
