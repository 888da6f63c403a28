"""What Grafana and its renderer are handed, with the secret and without; and the secret of a registry."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from manifests import DEFAULT, REPOSITORY, environment, main_container, name_of, named, pod_spec, workloads

SCRIPT = REPOSITORY / "k8s/grafana/hand_over_secrets.py"


def hand_over(tmp_path: Path, **secret: str) -> dict[str, str]:
    """Run the script on a secret with these keys; return the files that it wrote."""
    (tmp_path / "secret").mkdir(exist_ok=True)
    (tmp_path / "out").mkdir(exist_ok=True)
    for key, value in secret.items():
        (tmp_path / "secret" / key.replace("_", "-")).write_text(value)
    subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "secret"), str(tmp_path / "out")], check=True, timeout=30
    )
    return {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}


def renderer_tokens(files: dict[str, str]) -> list[str]:
    """Return the tokens that the renderer takes."""
    loaded = yaml.safe_load(files["config.yaml"])
    assert loaded.keys() == {"server"}
    tokens: list[str] = loaded["server"]["auth-token"]
    return tokens


def test_without_the_secret_nobody_knows_the_token_and_nobody_logs_in(tmp_path: Path) -> None:
    first, second = hand_over(tmp_path), hand_over(tmp_path)

    assert len(first["token"]) == 64
    assert first["token"] != second["token"]
    assert renderer_tokens(first) == [first["token"]]
    assert (first["login-on"], first["login-off"]) == ("false", "true")


@pytest.mark.parametrize("token", ["0a1b" * 16, 'quotes" and: colons'])
def test_with_the_secret_both_have_its_token(tmp_path: Path, token: str) -> None:
    files = hand_over(tmp_path, renderer_token=f"{token}\n")

    assert files["token"] == token
    assert renderer_tokens(files) == [token]
    assert json.loads(files["login-on"]) is False


def test_a_password_opens_the_login(tmp_path: Path) -> None:
    files = hand_over(tmp_path, admin_password="correct horse")  # noqa: S106 - of this test alone

    assert (files["login-on"], files["login-off"]) == ("true", "false")
    assert "correct horse" not in "".join(files.values())


def test_an_empty_password_or_token_is_none(tmp_path: Path) -> None:
    files = hand_over(tmp_path, admin_password="", renderer_token="")

    assert json.loads(files["login-on"]) is False
    assert len(files["token"]) == 64


def test_grafana_reads_the_files_that_the_script_writes(tmp_path: Path) -> None:
    grafana = main_container(named(DEFAULT, "Deployment", "grafana"))
    (mount,) = (each["mountPath"] for each in grafana["volumeMounts"] if each["name"] == "handed-over")
    read = {
        value.removeprefix("$__file{").removesuffix("}") for value in environment(grafana).values() if "__file" in value
    }

    assert read == {f"{mount}/login-on", f"{mount}/login-off"}
    assert {f"{mount}/{name}" for name in hand_over(tmp_path)} >= {*read, f"{mount}/token"}


def test_the_renderer_is_given_the_token_and_not_the_password() -> None:
    renderer = named(DEFAULT, "Deployment", "renderer")
    (secret,) = (volume["secret"] for volume in pod_spec(renderer)["volumes"] if "secret" in volume)

    assert [item["key"] for item in secret["items"]] == ["renderer-token"]
    assert main_container(renderer)["workingDir"] == "/run/renderer"


def test_a_secret_for_the_registry_goes_into_every_pod(tmp_path: Path) -> None:
    place = Path("../" * (len(tmp_path.parts) - 1), *REPOSITORY.parts[1:])
    kustomization = {"resources": [f"{place}/k8s"], "components": [f"{place}/k8s/components/pull-secret"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    for workload in workloads(str(tmp_path)):
        assert pod_spec(workload)["imagePullSecrets"] == [{"name": "registry"}], name_of(workload)
