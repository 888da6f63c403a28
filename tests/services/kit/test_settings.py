"""A setting that cannot be used ends a service with one line and exit status 2."""

from __future__ import annotations

import os
import re
import socket

import pytest

from servicekit.settings import ServiceSettings, load_settings
from stock_client.settings import ClientSettings, default_name
from stock_market.settings import MarketSettings
from stock_server.settings import ServerSettings

from processes import run_to_end

SERVICES: dict[str, type[ServiceSettings]] = {
    "server": ServerSettings,
    "client": ClientSettings,
    "market": MarketSettings,
}

REFUSED = [
    # service, arguments, what the line must tell
    ("server", ["--grpc-port", "70000"], ["--grpc-port (STOCK_SERVER_GRPC_PORT)", "'70000'", "0 to 65535"]),
    ("server", ["--grpc-port", "http"], ["--grpc-port (STOCK_SERVER_GRPC_PORT)", "'http'", "0 to 65535"]),
    ("server", ["--metrics-port", "-1"], ["--metrics-port (STOCK_SERVER_METRICS_PORT)", "'-1'", "0 to 65535"]),
    ("server", ["-i", "-1"], ["--initial-delay-seconds (STOCK_SERVER_INITIAL_DELAY_SECONDS)", "0 or more"]),
    ("server", ["--grace-seconds", "nan"], ["--grace-seconds (STOCK_SERVER_GRACE_SECONDS)", "0 or more"]),
    ("server", ["--update-interval-seconds", "inf"], ["STOCK_SERVER_UPDATE_INTERVAL_SECONDS", "0 or more"]),
    ("server", ["--padding-bytes", "4000001"], ["--padding-bytes (STOCK_SERVER_PADDING_BYTES)", "0 to 4000000 bytes"]),
    ("server", ["--max-streams", "0"], ["--max-streams (STOCK_SERVER_MAX_STREAMS)", "1 to 1000000"]),
    ("server", ["--expected-clients", "a,,b"], ["--expected-clients (STOCK_SERVER_EXPECTED_CLIENTS)", "''", "commas"]),
    ("server", ["--expected-clients", "a b"], ["STOCK_SERVER_EXPECTED_CLIENTS", "not a client's name: 'a b'"]),
    ("server", ["--keepalive-time-seconds", "0.5"], ["STOCK_SERVER_KEEPALIVE_TIME_SECONDS", "1 or more"]),
    ("server", ["--log-level", "loud"], ["--log-level (STOCK_SERVER_LOG_LEVEL)", "'loud'", "warning"]),
    ("server", ["--nonsense", "1"], ["--nonsense", "stock-server --help"]),
    ("server", ["--grpc-port"], ["--grpc-port", "expected one argument"]),
    ("server", ["4444"], ["unrecognized arguments: 4444"]),
    ("client", ["--window-bytes", "100"], ["--window-bytes (STOCK_CLIENT_WINDOW_BYTES)", "16384 to 2147483647", "100"]),
    ("client", ["--window-bytes", "64k"], ["--window-bytes (STOCK_CLIENT_WINDOW_BYTES)", "'64k'", "auto"]),
    ("client", ["--processing", "fast"], ["--processing (STOCK_CLIENT_PROCESSING)", "'fast'", "random:0.5-2"]),
    ("client", ["--processing", "1,none"], ["--processing (STOCK_CLIENT_PROCESSING)", "'1@60'"]),
    ("client", ["--name", "a/b"], ["--name (STOCK_CLIENT_NAME)", "'a/b'", "1 to 63"]),
    ("client", ["--server-address", "server"], ["--server-address (STOCK_CLIENT_SERVER_ADDRESS)", "HOST:PORT"]),
    ("client", ["--ready-within-seconds", "0"], ["STOCK_CLIENT_READY_WITHIN_SECONDS", "above 0"]),
    ("client", ["--backoff-initial-seconds", "0"], ["STOCK_CLIENT_BACKOFF_INITIAL_SECONDS", "above 0"]),
    ("market", ["--feed", "http://nats:4222"], ["--feed (STOCK_MARKET_FEED)", "nats://HOST:PORT"]),
    ("market", ["--feed", "nats://a:4222/b"], ["--feed (STOCK_MARKET_FEED)", "behind the port"]),
    ("market", ["--stream", "A.B"], ["--stream (STOCK_MARKET_STREAM)", "1 to 32 letters"]),
    ("market", ["--replicas", "0"], ["--replicas (STOCK_MARKET_REPLICAS)", "1 to 5"]),
    ("market", ["--tickers", "a"], ["--tickers (STOCK_MARKET_TICKERS)", "capital letters"]),
    ("client", ["-r", "--processing", "1"], ["--random-processing-time", "--processing"]),
]


def refusal(service: str, arguments: list[str], capsys) -> str:
    """Return the line with which a service refuses its settings."""
    with pytest.raises(SystemExit) as end:
        load_settings(SERVICES[service], arguments)
    assert end.value.code == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith(f"stock-{service}: ")
    assert written.err.count("\n") == 1, "one line"
    return written.err


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("STOCK_", "SLOW_")):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(("service", "arguments", "told"), REFUSED, ids=str)
def test_a_bad_flag_is_refused_in_one_line_that_names_it_and_what_it_takes(service, arguments, told, capsys):
    line = refusal(service, arguments, capsys)
    for part in told:
        assert part in line


@pytest.mark.parametrize("service", SERVICES)
def test_a_bad_variable_is_refused_alike(service, capsys, monkeypatch):
    monkeypatch.setenv(f"STOCK_{service.upper()}_METRICS_PORT", "x")
    assert f"--metrics-port (STOCK_{service.upper()}_METRICS_PORT)" in refusal(service, [], capsys)


@pytest.mark.parametrize("service", SERVICES)
def test_an_unknown_variable_is_refused(service, capsys, monkeypatch):
    monkeypatch.setenv(f"STOCK_{service.upper()}_WINDOW", "1")
    assert f"no such setting: STOCK_{service.upper()}_WINDOW" in refusal(service, [], capsys)


@pytest.fixture
def overrides(monkeypatch) -> str:
    """Let variables of another prefix win, as `compose.yaml` does for its slow client."""
    monkeypatch.setenv("STOCK_CLIENT_OVERRIDES", "SLOW_CLIENT_")
    monkeypatch.setenv("STOCK_CLIENT_POLICY", "conflate")
    return "SLOW_CLIENT_"


@pytest.mark.usefixtures("overrides")
def test_variables_of_a_second_prefix_win_over_the_services_own(monkeypatch):
    assert load_settings(ClientSettings, []).policy == "conflate"
    monkeypatch.setenv("SLOW_CLIENT_POLICY", "")
    assert load_settings(ClientSettings, []).policy == "conflate"
    monkeypatch.setenv("SLOW_CLIENT_POLICY", "pause")
    assert load_settings(ClientSettings, []).policy == "pause"
    assert load_settings(ClientSettings, ["--policy", "disconnect"]).policy == "disconnect"


@pytest.mark.usefixtures("overrides")
@pytest.mark.parametrize("variable", ["SLOW_CLIENT_POLICY", "STOCK_CLIENT_POLICY"])
def test_a_bad_value_is_told_by_the_name_that_it_was_set_by(variable, capsys, monkeypatch):
    monkeypatch.setenv(variable, "bogus")
    assert f"--policy ({variable}): " in refusal("client", [], capsys)


@pytest.mark.usefixtures("overrides")
def test_an_unknown_variable_of_the_second_prefix_is_refused_too(capsys, monkeypatch):
    monkeypatch.setenv("SLOW_CLIENT_WINDOW", "1")
    assert "no such setting: SLOW_CLIENT_WINDOW" in refusal("client", [], capsys)


def test_an_empty_variable_is_as_none(monkeypatch):
    monkeypatch.setenv("STOCK_SERVER_GRPC_PORT", "")
    assert load_settings(ServerSettings, []).grpc_port == 4444


def test_a_flag_wins_over_its_variable(monkeypatch):
    monkeypatch.setenv("STOCK_SERVER_GRPC_PORT", "1")
    assert load_settings(ServerSettings, []).grpc_port == 1
    assert load_settings(ServerSettings, ["--grpc-port", "2"]).grpc_port == 2


def test_the_originals_short_flags():
    assert load_settings(ServerSettings, ["-i", "5"]).initial_delay_seconds == 5
    assert [phase.kind for phase in load_settings(ClientSettings, ["-r"]).schedule.phases] == ["random"]


def test_the_defaults_are_the_originals():
    server, client = load_settings(ServerSettings, []), load_settings(ClientSettings, [])
    assert (server.grpc_port, server.metrics_port, server.update_interval_seconds) == (4444, 2112, 0.1)
    assert (client.server_address, client.metrics_port) == ("localhost:4444", 2113)
    assert client.window.size_bytes == 65_535
    assert server.keepalive_time_seconds + server.keepalive_timeout_seconds <= 30


@pytest.mark.parametrize(
    ("host", "name"), [("client-1", "client-1"), ("my host", "my-host"), ("-", "client"), ("x" * 80, "x" * 63)]
)
def test_the_hosts_name_becomes_a_clients_name(monkeypatch, host, name):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert default_name() == name


@pytest.mark.parametrize("service", SERVICES)
def test_help_lists_every_setting_with_its_default_and_its_variable(service, capsys):
    with pytest.raises(SystemExit) as end:
        load_settings(SERVICES[service], ["--help"])
    assert end.value.code == 0
    starts_entry = re.compile(r"^  (?=-)", re.MULTILINE)
    entries = [" ".join(entry.split()) for entry in starts_entry.split(capsys.readouterr().out)]
    for name, field in SERVICES[service].model_fields.items():
        flag = f"--{name.replace('_', '-')}"
        (entry,) = [entry for entry in entries if re.match(rf"{re.escape(flag)}[ ,]", entry)]
        assert f"[env: {f'STOCK_{service}_{name}'.upper()}]" in entry
        assert field.description
        if name.endswith(("_seconds", "_bytes")):
            assert re.search(r"second|byte", field.description), f"{flag} tells no unit"
        assert "(default" in entry, flag


@pytest.mark.parametrize(
    ("module", "flags", "told"),
    [
        ("stock_server", ["--host", "127.0.0.1", "--metrics-port", "0", "--grpc-port"], "--grpc-port (STOCK_SERVER_"),
        (
            "stock_server",
            ["--host", "127.0.0.1", "--grpc-port", "0", "--metrics-port"],
            "--metrics-port (STOCK_SERVER_",
        ),
        ("stock_client", ["--metrics-host", "127.0.0.1", "--metrics-port"], "--metrics-port (STOCK_CLIENT_"),
    ],
    ids=["server's grpc", "server's metrics", "client's metrics"],
)
def test_a_port_in_use_is_told_in_one_line(module, flags, told):
    with socket.socket() as taken:
        # as another server's: with this, grpc would share it unless it is told not to
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = run_to_end(module, *flags, str(taken.getsockname()[1]))
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert told in ended.stderr
    assert "a free port" in ended.stderr


def test_a_host_that_is_none_of_this_machine_is_told_in_one_line():
    ended = run_to_end("stock_server", "--host", "999.1.1.1", "--grpc-port", "0", "--metrics-port", "0")
    assert ended.returncode == 2
    assert ended.stderr.startswith("stock-server: --host (STOCK_SERVER_HOST): ")
    assert ended.stderr.count("\n") == 1


def test_a_bad_value_ends_the_command_itself():
    ended = run_to_end("stock_client", STOCK_CLIENT_WINDOW_BYTES="1")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("stock-client: --window-bytes (STOCK_CLIENT_WINDOW_BYTES): ")
