"""A file that cannot be used is refused at the start, in one line that names its setting."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from servicekit.settings import load_settings
from stock_client.settings import ClientSettings
from stock_server.settings import ServerSettings

from processes import Services, run_to_end

ENDS = [
    (ServerSettings, "--tls", "STOCK_SERVER_TLS"),
    (ServerSettings, "--metrics-tls", "STOCK_SERVER_METRICS_TLS"),
    (ClientSettings, "--tls", "STOCK_CLIENT_TLS"),
    (ClientSettings, "--metrics-tls", "STOCK_CLIENT_METRICS_TLS"),
]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that others than its owner may enter, which they may not with pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def not_as_root() -> Iterator[None]:
    """Be nobody for a while where the tests run as root, who may read everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize(("settings", "flag", "variable"), ENDS)
@pytest.mark.parametrize(
    ("case", "part", "reason"),
    [
        ("missing", "certificate", "No such file or directory"),
        ("folder", "key", "it is no file"),
        ("unreadable", "key", "Permission denied"),
        ("no PEM", "certificate", "it holds no certificate in PEM"),
        ("no PEM", "key", "it holds no private key in PEM"),
        ("of another", "key", "it is not the key of the certificate"),
        ("encrypted", "key", "it is encrypted"),
        ("expired", "certificate", "certificate has expired"),
        ("not set", "key", "it is not set"),
        ("not set", "certificate", "it is not set"),
    ],
)
def test_it_is_refused_in_one_line(
    made: Any,
    open_folder: Path,
    capsys: Any,
    settings: Any,
    flag: str,
    variable: str,
    case: str,
    part: str,
    reason: str,
) -> None:
    files = {"certificate": made.server.certificate, "key": made.server.key}
    files = {name: Path(shutil.copy(path, open_folder)) for name, path in files.items()}
    if case == "not set":
        del files[part]
    elif case == "expired":
        old = made.authority.issue("old", "old", "localhost", days=-1)
        files = {"certificate": old.certificate, "key": old.key}
    elif case == "unreadable":
        files[part].chmod(0)
    else:
        files[part] = spoilt(case, made, open_folder)
    trusts = ("--tls-ca", str(made.authority.file)) if (settings, flag) == (ClientSettings, "--tls") else ()
    arguments = [text for name, path in files.items() for text in (f"{flag}-{name}", str(path))]
    with pytest.raises(SystemExit) as ended, not_as_root() if case == "unreadable" else nullcontext():
        load_settings(settings, [*arguments, *trusts])
    written = capsys.readouterr()
    assert (ended.value.code, written.out, written.err.count("\n")) == (2, "", 1)
    assert f"{flag}-{part} ({variable}_{part.upper()}): {reason}" in written.err


def spoilt(case: str, made: Any, folder: Path) -> Path:
    """Return a file with one thing wrong."""
    path = folder / "spoilt"
    if case == "folder":
        path.mkdir()
    elif case == "no PEM":
        path.write_text("-----BEGIN NOTHING-----\n")
    elif case == "of another":
        path.write_bytes(made.client.key.read_bytes())
    elif case == "encrypted":
        key = load_pem_private_key(made.server.key.read_bytes(), None)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")))
    return path


@pytest.mark.parametrize(
    ("module", "flags", "complaint"),
    [
        ("stock_server", ("--tls-client-ca", "CA"), "--tls-certificate (STOCK_SERVER_TLS_CERTIFICATE): it is not set"),
        ("stock_client", ("--tls-server-name", "x"), "--tls-ca (STOCK_CLIENT_TLS_CA): it is not set"),
        ("stock_client", ("--tls-ca", "EMPTY"), "--tls-ca (STOCK_CLIENT_TLS_CA): it holds no certificate in PEM"),
    ],
)
def test_what_does_not_go_together_is_refused(
    made: Any, tmp_path: Path, module: str, flags: tuple[str, str], complaint: str
) -> None:
    (tmp_path / "empty").write_text("")
    files = {"CA": str(made.authority.file), "EMPTY": str(tmp_path / "empty")}
    done = run_to_end(module, *(files.get(flag, flag) for flag in flags))
    assert done.returncode == 2
    assert complaint in done.stderr


def test_a_certificate_for_clients_alone_is_none_for_a_server(made: Any) -> None:
    only_client = made.authority.issue("only-client", "x", "localhost", usages=("client",))
    done = run_to_end("stock_server", *only_client.flags())
    assert done.returncode == 2
    assert "--tls-certificate (STOCK_SERVER_TLS_CERTIFICATE): unsuitable certificate purpose" in done.stderr


def test_variables_name_files_too(services: Services, made: Any) -> None:
    done = run_to_end("stock_client", STOCK_CLIENT_TLS_CA="/no/such/file")
    assert done.returncode == 2
    assert "--tls-ca (STOCK_CLIENT_TLS_CA): No such file or directory: /no/such/file" in done.stderr
