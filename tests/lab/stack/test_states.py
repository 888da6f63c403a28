"""`lab verify` on clients that have no open stream: it waits, tells what they are, and fails them by that name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.stack.states import State
from lab.stack.verify import main

from processes import Service, Services, free_port, running_services
from prometheus_tools import EVERY_SECOND, Prometheus, command, running_prometheus, write_rules, write_targets
from waiting import until_blocking

SERVER = ("--update-interval-seconds", "0.01", "--allowed-policies", "pause")


@dataclass(frozen=True)
class Stack:
    """A server with one client that Prometheus watches."""

    services: Services
    prometheus: Prometheus
    folder: Path
    server: Service
    client: Service

    def state_becomes(self, *states: State) -> None:
        until_blocking(
            lambda: self.prometheus.by_client("client:flowcontrol_state:code").get("slow-client-0"),
            lambda code: code in states,
            within_seconds=40,
            what=f"one of {states}",
        )

    def failed_claim(self) -> str:
        """Return the one claim that fails the client in `lab verify`."""
        arguments = ("--prometheus-url", self.prometheus.url, "--fast", "none", "--timeout-seconds", "1")
        assert main([*arguments, "--out", str(self.folder)]) == 1
        ((claim,),) = [act["claims"] for act in json.loads((self.folder / "verdict.json").read_text())["acts"]]
        assert not claim["passed"]
        return str(claim["claim"])


@contextmanager
def running_stack(folder: Path, *client_arguments: str) -> Iterator[Stack]:
    command("prometheus")  # skips before anything has started
    write_rules(folder)
    with (
        running_services(folder) as services,
        running_prometheus(folder, EVERY_SECOND.format(folder=folder)) as prometheus,
    ):
        server = services.server(*SERVER, grpc_port=free_port())
        client = services.client(server.address, *client_arguments, name="slow-client-0")
        write_targets(folder, "server", server.metrics_port)
        write_targets(folder, "client", client.metrics_port)
        yield Stack(services, prometheus, folder, server, client)


def test_a_client_that_is_refused_has_no_stream(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with running_stack(tmp_path, "--policy", "conflate") as stack:
        stack.state_becomes(State.NO_STREAM)
        assert stack.failed_claim().startswith("has an open stream: without a stream: it runs, and is refused")
    assert "verify: slow-client-0 is without a stream" in capsys.readouterr().out


def test_of_a_server_that_cannot_be_asked_nothing_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with running_stack(tmp_path, "--processing", "2") as stack:
        stack.state_becomes(State.KEEPING_UP, State.HELD_BACK)
        stack.client.metric_reaches("flowcontrol_client_received_messages_total", lambda read: read >= 2)
        stack.server.stop()
        stack.state_becomes(State.NOT_KNOWN)
        assert stack.failed_claim().startswith("has an open stream: not known: the server, or it, cannot be asked")
    assert "verify: slow-client-0 is not known" in capsys.readouterr().out


def test_a_client_whose_server_has_restarted_works_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with running_stack(tmp_path, "--processing", "2") as stack:
        stack.state_becomes(State.KEEPING_UP, State.HELD_BACK)
        stack.client.metric_reaches("flowcontrol_client_received_messages_total", lambda read: read >= 2)
        stack.server.stop()
        # it reads what was in flight, 100 updates and more, before it comes back
        again = stack.services.server(*SERVER, grpc_port=stack.server.grpc_port)
        write_targets(stack.folder, "server", again.metrics_port)
        stack.state_becomes(State.WORKING_OFF)
        assert stack.failed_claim().startswith("has an open stream: working off an ended stream")
    assert "verify: slow-client-0 is working off an ended stream" in capsys.readouterr().out
