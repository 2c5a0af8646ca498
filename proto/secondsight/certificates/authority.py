"""A certificate authority in a folder.

Keys are on the curve P-256. A certificate says what it is for (RFC 5280, 4.2.1.12): that of a server does not prove a
camera, nor the other way round.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_DAYS: Final = 3650
_CLOCKS_DIFFER: Final = timedelta(hours=1)
_PRIVATE: Final = 0o600
_PUBLIC: Final = 0o644


class CertificatesError(Exception):
    """Certificates cannot be made."""


class Authority:
    """The authority in `folder`, made at its first use.

    Its files are `ca.pem`, which everybody may have, and `ca-key.pem`, which makes whoever has it the authority.

    Raises:
        CertificatesError: there is half of an authority, or files that are none.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.certificate_file = folder / "ca.pem"
        key_file = folder / "ca-key.pem"
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if self.certificate_file.exists() != key_file.exists():
            raise CertificatesError(
                f"{folder} holds only one of {self.certificate_file.name} and {key_file.name}: bring the other back, "
                "or make certificates in another folder"
            )
        if key_file.exists():
            self._certificate, self._key = self._load(key_file)
        else:
            self._key = ec.generate_private_key(ec.SECP256R1())
            self._certificate = self._make()
            _write(key_file, _pem_of_key(self._key), _PRIVATE)
            _write(self.certificate_file, self._certificate.public_bytes(Encoding.PEM), _PUBLIC)

    def make_server(self, hosts: Sequence[str], days: int) -> Path:
        """Make or renew `server.pem` and `server-key.pem` for these names and addresses, and for this machine's own.

        Without `hosts` they are those of the present certificate.
        """
        file = self._folder / "server.pem"
        names = list(dict.fromkeys([*(hosts or _hosts_of(file)), "localhost", "127.0.0.1", "::1"]))
        alternatives = x509.SubjectAlternativeName([_general_name(host) for host in names])
        self._issue(file, names[0], ExtendedKeyUsageOID.SERVER_AUTH, days, alternatives)
        return file

    def make_client(self, name: str, days: int) -> Path:
        """Make or renew `NAME.pem` and `NAME-key.pem`, by which a camera or a subscriber shows who it is."""
        if name in ("ca", "server") or "/" in name or not name.strip():
            raise CertificatesError(f"{name!r} cannot be a client's name: it is the name of a file, too")
        file = self._folder / f"{name}.pem"
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name)])
        self._issue(file, name, ExtendedKeyUsageOID.CLIENT_AUTH, days, alternatives)
        return file

    def _load(self, key_file: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        try:
            certificate = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
            key = load_pem_private_key(key_file.read_bytes(), password=None)
        except (ValueError, TypeError) as error:
            raise CertificatesError(f"{self._folder} holds no authority of ours: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise CertificatesError(f"{key_file} is not the key of {self.certificate_file}")
        return certificate, key

    def _make(self) -> x509.Certificate:
        name = _name("Secondsight site authority")
        return (
            _builder(name, name, self._key.public_key(), _AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _issue(
        self,
        file: Path,
        name: str,
        purpose: x509.ObjectIdentifier,
        days: int,
        alternatives: x509.SubjectAlternativeName,
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_name(name), self._certificate.subject, key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(alternatives, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        _write(file.with_name(f"{file.stem}-key.pem"), _pem_of_key(key), _PRIVATE)
        _write(file, certificate.public_bytes(Encoding.PEM), _PUBLIC)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as error:
        raise CertificatesError(f"{host!r} is neither a name nor an address of a host") from error


def _hosts_of(file: Path) -> list[str]:
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound) as error:
        raise CertificatesError(
            f"there is no certificate in {file} to renew: give the names and addresses by which the server is "
            "reached (--host)"
        ) from error
    return [
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    ]


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(file: Path, content: bytes, mode: int) -> None:
    """Whole or not at all, and at no moment with a wider mode."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            os.fchmod(descriptor, mode)
            opened.write(content)
            opened.flush()
            os.fsync(descriptor)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
