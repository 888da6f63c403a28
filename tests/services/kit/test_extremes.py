"""Whatever a setting is given, it works or is refused in one line: all settings of all services, all extremes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from flowcontrol import FlowControlClientInterceptor
from servicekit.settings import ServiceSettings, load_settings
from stock_client.connection import open_channel
from stock_client.settings import ClientSettings
from stock_market.settings import MarketSettings
from stock_server.port.grpc_server import channel_options
from stock_server.settings import ServerSettings
from stockfeed.address import without_secrets
from stockfeed.source import StockSource

from extremes import extremes_for, load

SERVICES: tuple[type[ServiceSettings], ...] = (ServerSettings, ClientSettings, MarketSettings)

CASES = [(service, name) for service in SERVICES for name in service.model_fields]


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("STOCK_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def use(settings: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Do with settings what the service does before it runs, as far as it takes no port."""
    if isinstance(settings, ServerSettings):
        assert settings.limits.max_streams > 0
        for ticker in settings.ticker_list[:1]:
            StockSource(ticker, settings.padding_bytes).next()

        async def serve() -> None:
            await grpc.aio.server(options=channel_options(settings)).stop(None)

        loop.run_until_complete(serve())
    elif isinstance(settings, MarketSettings):
        assert settings.bounds.updates > 0
        assert settings.silence_seconds > 0
        without_secrets(settings.feed)
        for ticker in settings.ticker_list[:1]:
            StockSource(ticker, settings.padding_bytes).next()
    else:
        phase, _ = settings.schedule.at(0.0)
        seconds = phase.draw_seconds() if phase.draw_seconds is not None else 0.0

        async def connect() -> None:
            FlowControlClientInterceptor(settings.name, settings.window, registry=CollectorRegistry())
            async with open_channel(settings):
                for wait in (seconds, settings.backoff_max_seconds, settings.retry_after_max_seconds):
                    asyncio.create_task(asyncio.sleep(wait)).cancel()

        loop.run_until_complete(connect())


@pytest.mark.parametrize(("service", "name"), CASES, ids=[f"{service.__name__}-{name}" for service, name in CASES])
def test_it_works_or_is_refused_in_one_line(service, name, capsys, loop):
    flag = f"--{name.replace('_', '-')}"
    for value in extremes_for(name):
        settings = load(service, [f"{flag}={value}"], capsys)
        if settings is not None:
            use(settings, loop)


@pytest.mark.parametrize("value", ["\udcff", "9" * 5_000, " ", "a..b", "1e300"])
def test_a_variable_is_refused_alike(value, capsys, monkeypatch):
    for name in ServerSettings.model_fields:
        variable = f"STOCK_SERVER_{name}".upper()
        monkeypatch.setenv(variable, value)
        load(ServerSettings, [], capsys)
        monkeypatch.delenv(variable)


@pytest.mark.parametrize("arguments", [["--host", ""], ["--host="]])
def test_an_empty_flag_is_not_as_none(arguments, capsys):
    with pytest.raises(SystemExit):
        load_settings(ServerSettings, arguments)
    assert capsys.readouterr().err.startswith("stock-server: --host (STOCK_SERVER_HOST): it is empty; it takes: ")


@pytest.mark.parametrize("address", ["http://server:4444", "server", "server:0", "server:65536", ":4444", "a..b:4444"])
def test_an_address_that_never_connects_is_refused(address, capsys):
    assert load(ClientSettings, ["--server-address", address], capsys) is None


@pytest.mark.parametrize(
    "address",
    [
        "server:4444",
        "[::1]:4444",
        "10.0.0.1:1",
        "dns:///server:4444",
        "ipv4:///127.0.0.1:1,127.0.0.2:1",
        "unix:///run/x",
    ],
)
def test_an_address_of_grpcs_own_is_taken(address):
    assert load_settings(ClientSettings, ["--server-address", address]).server_address == address
