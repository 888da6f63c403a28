"""`lab snapshot` against a server that answers as Grafana was seen to answer, well or badly.

The point is that nothing but a picture of what was asked for is ever saved.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.stack.snapshot import main

from grafana_server import (
    FAILED,
    HEIGHT,
    LOGIN_PAGE,
    NO_DASHBOARD,
    NO_RENDERER,
    UNAUTHORIZED,
    Answer,
    Grafana,
    asked_for,
    json_of,
    picture,
    plain,
    png,
    running_grafana,
    size_of,
)
from processes import free_port


@pytest.fixture
def grafana() -> Iterator[Grafana]:
    with running_grafana() as grafana:
        yield grafana


def refusal(capsys: pytest.CaptureFixture[str], out: Path, url: str, *arguments: str) -> str:
    """Return the one line in which `lab snapshot` ends, with exit status 2."""
    with pytest.raises(SystemExit) as ended:
        main(["--grafana-url", url, "--out", str(out), *arguments])
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    return errors.removeprefix("lab snapshot: ").rstrip()


def test_it_saves_the_dashboard_and_each_panel(grafana: Grafana, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--grafana-url", grafana.url, "--out", str(tmp_path)]) == 0
    saved = {path.name: size_of(path) for path in tmp_path.iterdir()}
    assert saved == {
        "backpressure.png": (1280, HEIGHT),
        "backpressure-01-held-back-now.png": (1000, 500),
        "backpressure-03-cpu-in.png": (1000, 500),
    }
    output = capsys.readouterr().out
    assert "snapshot: dashboard Backpressure" in output  # it takes longer than two seconds, and says so
    assert str(tmp_path / "backpressure-03-cpu-in.png") in output


def test_it_passes_on_what_is_to_be_shown(grafana: Grafana, tmp_path: Path):
    choice = ["--from", "now-1h", "--to", "now-5m", "--theme", "dark", "--width", "1600", "--height", "900"]
    main(["--grafana-url", grafana.url, "--out", str(tmp_path), *choice, "--client", "a", "--client", "b"])
    rendered = {path: query for path, query in grafana.asked if path.startswith("/render/")}
    shown = {"theme": ["dark"], "var-client": ["a", "b"], "timeout": ["60"]}
    shown |= {name: rendered["/render/d/backpressure/-"][name] for name in ("from", "to")}
    assert rendered["/render/d/backpressure/-"] == {**shown, "width": ["1600"], "height": ["900"], "kiosk": ["true"]}
    assert rendered["/render/d-solo/backpressure/-"].items() >= shown.items()
    panels = [query["panelId"] for path, query in grafana.asked if path == "/render/d-solo/backpressure/-"]
    assert sorted(panels) == [["1"], ["3"]]


def test_all_pictures_show_the_same_minutes(grafana: Grafana, tmp_path: Path):
    def slowly(query: dict[str, list[str]]) -> Answer:
        time.sleep(1.1)  # by then, now is another second
        return asked_for(query)

    grafana.render = slowly
    began = int(time.time())
    main(["--grafana-url", grafana.url, "--out", str(tmp_path), "--from", "now-1h", "--to", "now-5m"])
    ranges = {(query["from"][0], query["to"][0]) for path, query in grafana.asked if path.startswith("/render/")}
    ((first, last),) = ranges
    assert int(last) - int(first) == 55 * 60 * 1000
    assert began - 1 <= int(last) / 1000 + 300 <= time.time()


def test_minutes_that_are_told_are_shown_as_they_are(grafana: Grafana, tmp_path: Path):
    told = ("--from", "1700000000000", "--to", "1700000300000")
    main(["--grafana-url", grafana.url, "--out", str(tmp_path), "--no-panels", *told])
    (query,) = [query for path, query in grafana.asked if path.startswith("/render/")]
    assert (query["from"], query["to"]) == (["1700000000000"], ["1700000300000"])


@pytest.mark.parametrize("moment", ["yesterday", "now-5x", "now/d", "2026-01-01"])
def test_what_is_no_moment_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], moment: str):
    line = refusal(capsys, tmp_path, "http://127.0.0.1:1", "--from", moment)
    assert line.startswith("--from")
    assert "now-5m" in line


def test_panels_can_be_left_out(grafana: Grafana, tmp_path: Path):
    main(["--grafana-url", grafana.url, "--out", str(tmp_path), "--no-panels"])
    assert [path.name for path in tmp_path.iterdir()] == ["backpressure.png"]


def test_where_grafana_does_not_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    url = f"http://127.0.0.1:{free_port()}"
    assert refusal(capsys, tmp_path, url).startswith(f"Grafana does not answer at {url}: ")
    assert not list(tmp_path.iterdir())


REDIRECT_TO_LOGIN = (
    302,
    {"Location": "/login", "Content-Type": "text/html; charset=utf-8"},
    b'<a href="/login">Found</a>.',
)
NO_RENDERER_SETTINGS = plain((200, "application/json", json_of(rendererAvailable=False)))
ONE_SIZE_FOR_ALL = ("--width", "1000", "--height", "500")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"health": plain((404, "text/plain", b"404 page not found"))}, "is no Grafana: HTTP 404"),
        ({"dashboard": plain(NO_DASHBOARD)}, "has no dashboard backpressure"),
        ({"dashboard": plain(UNAUTHORIZED)}, "wants a login (Unauthorized): set LAB_SNAPSHOT_GRAFANA_USER"),
        ({"dashboard": plain((200, "application/json", b"{}"))}, "of dashboard backpressure is not understood"),
        ({"dashboard": plain((502, "text/html", b"Bad Gateway"))}, "answers HTTP 502"),
        ({"settings": NO_RENDERER_SETTINGS}, "has no image renderer"),
        ({"render": plain(FAILED)}, "could not render d/backpressure/- (HTTP 500): its image renderer does not answer"),
        ({"render": REDIRECT_TO_LOGIN}, "wants a login"),
        ({"render": plain(LOGIN_PAGE)}, "answers with text/html; charset=UTF-8, not a picture"),
        ({"render": png(NO_RENDERER)}, "but shows its rendering_plugin_not_installed.png"),
        ({"render": png(picture(400, 300))}, "is 400 x 300 pixels, not 1000 x 500"),
        ({"render": png(picture(1000, 500, blank=True))}, "is blank"),
        ({"render": png(b"")}, "is no PNG, or a broken one"),
        ({"render": png(LOGIN_PAGE[2])}, "is no PNG, or a broken one"),
        ({"render": png(picture(1000, 500)[:-200])}, "is no PNG, or a broken one"),
    ],
)  # fmt: skip
def test_an_error_is_one_line_and_never_a_picture(
    grafana: Grafana, tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, Answer], reason: str
):
    for name, answer in changed.items():
        setattr(grafana, name, answer)
    assert reason in refusal(capsys, tmp_path, grafana.url, *ONE_SIZE_FOR_ALL)
    assert not list(tmp_path.iterdir())


def test_a_picture_of_an_error_is_known_also_in_the_size_asked_for(
    grafana: Grafana, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    grafana.no_renderer = picture(1000, 500, text="no image renderer")
    grafana.render = png(grafana.no_renderer)
    assert "rendering_plugin_not_installed" in refusal(capsys, tmp_path, grafana.url, *ONE_SIZE_FOR_ALL)
    assert not list(tmp_path.iterdir())


def test_a_panel_that_fails_is_not_saved(grafana: Grafana, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    grafana.render = lambda query: plain(FAILED) if query.get("panelId") == ["3"] else asked_for(query)
    assert "could not render d-solo/backpressure/-" in refusal(capsys, tmp_path, grafana.url)
    saved = {path.name for path in tmp_path.iterdir()}
    assert "backpressure.png" in saved
    assert saved <= {"backpressure.png", "backpressure-01-held-back-now.png"}


def test_a_login_comes_from_the_environment(grafana: Grafana, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    grafana.login = "Basic " + base64.b64encode(b"somebody:secret").decode()
    monkeypatch.setenv("LAB_SNAPSHOT_GRAFANA_USER", "somebody")
    monkeypatch.setenv("LAB_SNAPSHOT_GRAFANA_PASSWORD", "secret")
    assert main(["--grafana-url", grafana.url, "--out", str(tmp_path), "--no-panels"]) == 0


def test_a_token_comes_from_the_environment(grafana: Grafana, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    grafana.login = "Bearer token-of-a-service-account"
    monkeypatch.setenv("LAB_SNAPSHOT_GRAFANA_TOKEN", "token-of-a-service-account")
    assert main(["--grafana-url", grafana.url, "--out", str(tmp_path), "--no-panels"]) == 0


def test_a_wrong_login_is_told_and_not_shown(
    grafana: Grafana, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    grafana.login = "Basic of somebody else"
    monkeypatch.setenv("LAB_SNAPSHOT_GRAFANA_USER", "somebody")
    monkeypatch.setenv("LAB_SNAPSHOT_GRAFANA_PASSWORD", "secret")
    line = refusal(capsys, tmp_path, grafana.url)
    assert "wants a login (invalid username or password)" in line
    assert "secret" not in line
    assert not list(tmp_path.iterdir())
