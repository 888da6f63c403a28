"""A file that cannot be used is refused at the start, in one line that names its setting."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from processes import Services, run_to_end

ENDS = [
    ("stock_server", "--tls", "STOCK_SERVER_TLS"),
    ("stock_server", "--metrics-tls", "STOCK_SERVER_METRICS_TLS"),
    ("stock_client", "--tls", "STOCK_CLIENT_TLS"),
    ("stock_client", "--metrics-tls", "STOCK_CLIENT_METRICS_TLS"),
]


@pytest.mark.parametrize(("module", "flag", "variable"), ENDS)
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
    made: Any, tmp_path: Path, module: str, flag: str, variable: str, case: str, part: str, reason: str
) -> None:
    files = {"certificate": made.server.certificate, "key": made.server.key}
    if case == "unreadable" and os.geteuid() == 0:
        pytest.skip("root reads everything")
    if case == "not set":
        del files[part]
    elif case == "expired":
        old = made.authority.issue("old", "old", "localhost", days=-1)
        files = {"certificate": old.certificate, "key": old.key}
    else:
        files[part] = spoilt(case, made, tmp_path)
    trusts = ("--tls-ca", str(made.authority.file)) if (module, flag) == ("stock_client", "--tls") else ()
    arguments = [text for name, path in files.items() for text in (f"{flag}-{name}", str(path))]
    done = run_to_end(module, *arguments, *trusts)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert f"{flag}-{part} ({variable}_{part.upper()}): {reason}" in done.stderr


def spoilt(case: str, made: Any, folder: Path) -> Path:
    """Return a file with one thing wrong."""
    path = folder / "spoilt"
    if case == "folder":
        path.mkdir()
    elif case == "no PEM":
        path.write_text("-----BEGIN NOTHING-----\n")
    elif case == "of another":
        path.write_bytes(made.client.key.read_bytes())
    elif case == "unreadable":
        path.write_bytes(made.server.key.read_bytes())
        path.chmod(0)
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
