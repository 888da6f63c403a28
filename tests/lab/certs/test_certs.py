"""What `lab certs` makes is taken by those who verify strictly, as Python does from 3.13 on."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from lab.certs.command import NAMES, main


def shake_hands(server: Path, client: Path, name: str, trusted: Path) -> None:
    """Let one folder's certificate serve another's. Raises ssl.SSLError where either refuses."""
    contexts = []
    for purpose, folder in ((ssl.Purpose.CLIENT_AUTH, server), (ssl.Purpose.SERVER_AUTH, client)):
        context = ssl.create_default_context(purpose, cafile=str(trusted))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        contexts.append(context)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = contexts[0].wrap_bio(to_server, to_client, server_side=True)
    asking = contexts[1].wrap_bio(to_client, to_server, server_hostname=name)
    for end in (asking, serving, asking, serving):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert serving.getpeercert()
    assert asking.getpeercert()


def make(out: Path) -> None:
    assert main(["--out", str(out)]) == 0


@pytest.mark.parametrize("name", NAMES)
def test_everybody_is_taken_by_those_who_verify_strictly(name: str, tmp_path: Path) -> None:
    make(tmp_path)
    shake_hands(tmp_path / name, tmp_path / "client", name, tmp_path / "ca.crt")
    shake_hands(tmp_path / "server", tmp_path / name, "server", tmp_path / "ca.crt")


def test_once_more_is_of_the_same_authority(tmp_path: Path) -> None:
    make(tmp_path)
    authority = (tmp_path / "ca.crt").read_bytes()
    certificate = (tmp_path / "server" / "tls.crt").read_bytes()
    make(tmp_path)
    assert (tmp_path / "ca.crt").read_bytes() == authority
    assert (tmp_path / "server" / "tls.crt").read_bytes() != certificate


def test_an_authority_that_an_older_version_made_is_renewed_and_what_it_signed_is_still_trusted(tmp_path: Path) -> None:
    make(tmp_path)
    older = strip(tmp_path / "ca.crt", tmp_path / "ca.key")
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shake_hands(tmp_path / "server", tmp_path / "client", "server", tmp_path / "ca.crt")
    signed_before = tmp_path / "before"
    (tmp_path / "server").rename(signed_before)
    make(tmp_path)
    assert (tmp_path / "ca.crt").read_bytes() != older
    shake_hands(tmp_path / "server", tmp_path / "client", "server", tmp_path / "ca.crt")
    shake_hands(signed_before, tmp_path / "client", "server", tmp_path / "ca.crt")


def strip(certificate: Path, key: Path) -> bytes:
    """Make an authority's certificate say no more than that it is one."""
    of = x509.load_pem_x509_certificate(certificate.read_bytes())
    builder = x509.CertificateBuilder(of.issuer, of.subject, of.public_key(), of.serial_number)
    builder = builder.not_valid_before(of.not_valid_before_utc).not_valid_after(of.not_valid_after_utc)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    private = load_pem_private_key(key.read_bytes(), None)
    certificate.write_bytes(builder.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM))  # type: ignore[arg-type]
    return certificate.read_bytes()
