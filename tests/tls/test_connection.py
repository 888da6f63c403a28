"""TLS and mutual TLS between the two services, as processes."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from certificates import Authority
from processes import Service, Services, free_port
from waiting import until_blocking

SECONDS_OF_A_DAY = 86_400

OF_CLIENT = "flowcontrol_server_streams"


def reads(client: Service) -> float:
    return client.metric_reaches("stock_updates_received_total", lambda count: count >= 3)


def refused(client: Service) -> str:
    """Return the reason that a client gives, once it has tried again with a backoff."""
    ends = until_blocking(lambda: client.events("stream.end"), lambda ends: len(ends) >= 3, what="three attempts")
    assert client.metric("stock_updates_received_total") == 0
    return str(ends[-1]["reason"])


def test_a_client_by_itself_needs_the_authority_alone(services: Services, made: Any) -> None:
    server = services.server(*made.server.flags())
    client = services.client(server.address, "--tls-ca", str(made.authority.file), name="anybody")
    reads(client)
    assert server.metric(OF_CLIENT, client="anybody") == 1
    assert client.errors() == server.errors() == ""


@pytest.mark.parametrize(
    ("declared", "counts"), [("client", "client"), ("client-7", "client-7"), ("client7", "client"), ("root", "client")]
)
def test_with_mutual_tls_the_name_is_the_certificates(
    services: Services, mutual: Any, declared: str, counts: str
) -> None:
    server, made = mutual.server, mutual.made
    server.metric_reaches(OF_CLIENT, lambda streams: streams == 0, client=counts)
    client = services.client(server.address, *made.client_flags, name=declared)
    reads(client)
    assert server.metric(OF_CLIENT, client=counts) == 1
    assert client.event("client.start.complete")["name"] == counts, "both ends go by the same name"


@pytest.mark.parametrize(
    ("common_name", "names", "counts"),
    [
        ("by-common-name", (), "by-common-name"),
        ("ignored", ("spiffe://cluster.local/ns/prices/sa/reader",), "cluster.local-ns-prices-sa-reader"),
        ("ignored", ("spiffe://cluster.local/x", "by.dns"), "by.dns"),
        ("no name: a sentence", (), "invalid"),
    ],
)
def test_where_in_a_certificate_the_name_is(
    services: Services, mutual: Any, common_name: str, names: tuple[str, ...], counts: str
) -> None:
    server, made = mutual.server, mutual.made
    server.metric_reaches(OF_CLIENT, lambda streams: streams == 0, client=counts)
    pair = made.authority.issue("reader", common_name, *names)
    client = services.client(server.address, *pair.flags(), "--tls-ca", str(made.authority.file), name="declared")
    reads(client)
    assert server.metric(OF_CLIENT, client=counts) == 1


@pytest.mark.parametrize(
    ("case", "to_client", "to_server"),
    [
        ("none", "it may want a client's certificate", "no_certificate"),
        ("of another authority", "it may not accept this client's certificate", "untrusted"),
        ("no tls", "it may want TLS", "no_tls"),
    ],
)
def test_who_is_not_let_in_is_told_and_so_is_the_servers_log(
    services: Services, mutual: Any, tmp_path: Path, case: str, to_client: str, to_server: str
) -> None:
    server, made = mutual.server, mutual.made
    trusts = ("--tls-ca", str(made.authority.file))
    flags = {
        "none": trusts,
        "of another authority": (*Authority(tmp_path, "other").issue("stranger", "client").flags(), *trusts),
        "no tls": (),
    }[case]
    stranger = services.client(server.address, *flags)
    assert to_client in refused(stranger)
    assert is_told(server, to_server)
    assert server.errors() == stranger.errors() == ""
    reads(services.client(server.address, *made.client_flags))


def test_a_clients_certificate_that_has_expired_since_it_started(services: Services, made: Any) -> None:
    port = free_port()
    brief = made.authority.issue("brief", "client", "client", days=6 / SECONDS_OF_A_DAY)
    ends_at = time.time() + 6
    client = services.client(f"127.0.0.1:{port}", *brief.flags(), "--tls-ca", str(made.authority.file))
    client.event("client.start.complete")
    until_blocking(lambda: time.time() > ends_at + 1)
    server = services.server(*made.server_flags, grpc_port=port)
    server.event("server.start.complete")
    until_blocking(lambda: "this client's certificate has expired" in client.events("stream.end")[-1]["reason"])
    assert is_told(server, "expired")

    brief.replace_with(made.client)
    reads(client)


@pytest.mark.parametrize(
    ("case", "to_client"),
    [
        ("of another authority", "of no authority in --tls-ca (STOCK_CLIENT_TLS_CA); "),
        ("for another name", "the server's certificate is not for 'elsewhere'; "),
        ("no tls", "the server does not speak TLS; "),
    ],
)
def test_a_server_that_is_not_the_one_is_refused(
    services: Services, mutual: Any, tmp_path: Path, case: str, to_client: str
) -> None:
    made = mutual.made
    server = services.server() if case == "no tls" else mutual.server
    authority = Authority(tmp_path, "other").file if case == "of another authority" else made.authority.file
    name = ("--tls-server-name", "elsewhere") if case == "for another name" else ()
    client = services.client(server.address, *made.client.flags(), "--tls-ca", str(authority), *name)
    assert to_client in refused(client)
    assert client.errors() == ""


def test_a_servers_certificate_that_has_expired_since_it_started(services: Services, made: Any) -> None:
    brief = made.authority.issue("brief", "server", "127.0.0.1", days=8 / SECONDS_OF_A_DAY)
    ends_at = time.time() + 8
    server = services.server(*brief.flags())
    server.event("server.start.complete")
    until_blocking(lambda: time.time() > ends_at + 1)
    client = services.client(server.address, "--tls-ca", str(made.authority.file))
    assert refused(client).startswith("the server's certificate has expired; ")


def test_the_name_may_be_another_than_the_address(services: Services, made: Any) -> None:
    only_name = made.authority.issue("named", "", "prices.example")
    server = services.server(*only_name.flags())
    client = services.client(
        server.address, "--tls-ca", str(made.authority.file), "--tls-server-name", "prices.example"
    )
    reads(client)


def test_new_files_are_taken_without_a_restart_and_streams_go_on(services: Services, made: Any, tmp_path: Path) -> None:
    server = services.server(*made.server_flags)
    first = services.client(server.address, *made.client_flags, name="client-1")
    reads(first)

    new = Authority(tmp_path, "new")
    made.server.replace_with(new.issue("new-server", "server", "new", "127.0.0.1"))
    made.authority.file.write_bytes(new.file.read_bytes())
    second = services.client(
        server.address,
        *new.issue("new-client", "client", "client").flags(), "--tls-ca", str(new.file), name="client-2",
    )  # fmt: skip
    reads(second)
    old = services.client(server.address, *made.client.flags(), "--tls-ca", str(new.file), name="client-3")
    assert "may not accept this client's certificate" in refused(old)

    before = first.metric("stock_updates_received_total")
    first.metric_reaches("stock_updates_received_total", lambda count: count >= before + 3)
    assert first.metric("stock_client_reconnects_total") == 0
    server.event("tls.reload.complete")
    assert server.events("tls.reload.complete")[-1]["names"] == "new"


def test_a_bad_file_is_told_once_and_the_old_one_kept(services: Services, made: Any) -> None:
    server = services.server(*made.server_flags)
    reads(services.client(server.address, *made.client_flags, name="client-1"))
    good = made.server.key.read_bytes()
    made.server.key.write_text("no key")
    for number in (2, 3):
        reads(services.client(server.address, *made.client_flags, name=f"client-{number}"))
    told = server.event("tls.reload.failed")
    assert told["setting"] == "tls_key"
    assert told["reason"].startswith("it holds no private key in PEM")
    made.server.key.write_bytes(good)
    reads(services.client(server.address, *made.client_flags, name="client-4"))
    server.event("tls.reload.complete")
    assert server.stop() == 0
    assert len(server.events("tls.reload.failed")) == len(server.events("tls.reload.complete")) == 1


def is_told(server: Service, reason: str) -> bool:
    """Tell whether the server has counted refusals for a reason, and told of them, though not of each."""
    counted = server.metric_reaches("stock_server_failed_handshakes_total", bool, reason=reason)
    server.event("tls.handshake.failed")
    told = [each["reason"] for each in server.events("tls.handshake.failed")]
    return all("client" in each for each in told) and counted >= 1 and max(Counter(told).values()) <= 2
