"""The small authority: what it makes holds, is private where it must be, and renews."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from typer.testing import CliRunner

from secondsight.certificates.authority import Authority, CertificatesError
from secondsight.certificates.command import app


def certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_server_and_a_camera_are_proven_each_for_what_it_is(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = authority.make_server(["edge.example", "10.0.0.5"], days=30)
    camera = authority.make_client("door", days=30)
    policies = PolicyBuilder().store(Store([certificate(authority.certificate_file)]))
    for name in (x509.DNSName("edge.example"), x509.DNSName("localhost")):
        policies.build_server_verifier(name).verify(certificate(server), [])
    policies.build_client_verifier().verify(certificate(camera), [])
    with pytest.raises(x509.verification.VerificationError):
        policies.build_server_verifier(x509.DNSName("other.example")).verify(certificate(server), [])
    with pytest.raises(x509.verification.VerificationError):
        policies.build_client_verifier().verify(certificate(server), [])
    with pytest.raises(x509.verification.VerificationError):
        policies.build_server_verifier(x509.DNSName("door")).verify(certificate(camera), [])


def test_keys_are_their_owners_alone(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = authority.make_server(["localhost"], days=30)
    for file in (tmp_path / "ca-key.pem", tmp_path / "server-key.pem"):
        assert mode(file) == 0o600
    assert mode(server) == mode(authority.certificate_file) == 0o644
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(server, tmp_path / "server-key.pem")


def test_the_command_renews_for_the_same_names_under_the_same_authority(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert run(app, ["make", str(tmp_path), "--host", "edge.example", "--camera", "door"]).exit_code == 0
    files = [tmp_path / name for name in ("ca.pem", "server.pem", "door.pem")]
    authority, first, _ = map(certificate, files)
    result = run(app, ["make", str(tmp_path), "--days", "60"])
    assert result.exit_code == 0, result.output
    assert str(tmp_path / "server-key.pem") in result.output.replace("\n", "")
    second = certificate(tmp_path / "server.pem")
    assert certificate(tmp_path / "ca.pem") == authority
    assert second.serial_number != first.serial_number
    assert second.extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    ) == first.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_without_a_name_there_is_nothing_to_certify(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["make", str(tmp_path)])
    assert result.exit_code == 1
    assert "--host" in result.output


@pytest.mark.parametrize("name", ["ca", "server", "a/b", " "])
def test_a_client_takes_no_other_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(CertificatesError, match="name of a file"):
        Authority(tmp_path).make_client(name, days=1)


def test_half_an_authority_is_not_made_anew(tmp_path: Path) -> None:
    Authority(tmp_path).certificate_file.unlink()
    with pytest.raises(CertificatesError, match="only one of"):
        Authority(tmp_path)


def test_what_is_no_authority_is_named(tmp_path: Path) -> None:
    Authority(tmp_path)
    (tmp_path / "ca-key.pem").write_text("no key")
    with pytest.raises(CertificatesError, match="no authority of ours"):
        Authority(tmp_path)
