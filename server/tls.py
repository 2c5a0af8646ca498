"""TLS of the server's own ports. Certificates are read again when their files change, so renewal needs no restart."""

from __future__ import annotations

import logging
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from server.errors import ServerConfigError

if TYPE_CHECKING:
    import grpc

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ServerTlsConfig:
    """Files in PEM."""

    certificate: Path
    """The server's own, followed by those that lead to its authority."""
    key: Path
    client_ca: Path | None = None
    """Authorities of the clients: who calls by gRPC without a certificate of theirs is refused. HTTP asks for none."""


def tls_of(certificate: Path | None, key: Path | None, client_ca: Path | None) -> ServerTlsConfig | None:
    """The configuration that options make; None of them is None.

    Raises:
        ServerConfigError: a certificate without its key, or clients' authorities without a certificate.
    """
    if certificate is None or key is None:
        if certificate is not None or key is not None or client_ca is not None:
            raise ServerConfigError(
                "TLS needs both --tls-certificate and --tls-key; give both, or none of TLS"
            )
        return None
    return ServerTlsConfig(certificate=certificate, key=key, client_ca=client_ca)


def grpc_credentials(tls: ServerTlsConfig) -> grpc.ServerCredentials:
    """For gRPC; every handshake shows the certificate that the files hold by then.

    Raises:
        ServerConfigError: the files hold no certificate and its key.
    """
    import grpc

    files = _Files(tls)

    def configuration() -> grpc.ServerCertificateConfiguration:
        read = files.read
        return grpc.ssl_server_certificate_configuration([(read.key, read.certificate)], read.client_ca)

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        return configuration() if files.renew() else None

    return grpc.dynamic_ssl_server_credentials(
        configuration(),
        renewed,  # type: ignore[arg-type] # None is "as before", says grpc's own documentation
        require_client_authentication=tls.client_ca is not None,
    )


def http_context(tls: ServerTlsConfig) -> ssl.SSLContext:
    """For HTTP, likewise.

    Raises:
        ServerConfigError: the files hold no certificate and its key.
    """
    files = _Files(tls)
    newest = _context(tls)

    def renew(connection: ssl.SSLObject, _name: str | None, _context_of_port: ssl.SSLContext) -> None:
        nonlocal newest
        if files.renew():
            newest = _context(tls)
        connection.context = newest

    context = newest
    # Called at every handshake before a certificate is chosen, also for a client that names no host.
    context.sni_callback = renew
    return context


class _Read(NamedTuple):
    certificate: bytes
    key: bytes
    client_ca: bytes | None


class _Files:
    """The files of a configuration as they were last fit for use. For any thread."""

    def __init__(self, tls: ServerTlsConfig) -> None:
        self._tls = tls
        self._lock = threading.Lock()
        self._seen = self._look()
        try:
            self.read = self._load()
        except (ssl.SSLError, ValueError, OSError) as error:
            raise ServerConfigError(
                f"{tls.certificate} and {tls.key} cannot be used for TLS: {error}; give a certificate and its key "
                "in PEM, for instance those of `secondsight certificates make`"
            ) from error

    def renew(self) -> bool:
        """Read the files if they have changed; True when they are fit for use, or else what was read before stays."""
        with self._lock:
            seen = self._look()
            if seen == self._seen:
                return False
            self._seen = seen
            try:
                self.read = self._load()
            except (ssl.SSLError, ValueError, OSError) as error:
                # Perhaps one of them is still to be written; that changes what is seen, too.
                _log.error("%s has changed, but cannot be used: %s", self._tls.certificate, error)
                return False
            _log.info("%s was renewed", self._tls.certificate)
            return True

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in (self._tls.certificate, self._tls.key, self._tls.client_ca) if path]

    def _load(self) -> _Read:
        tls = self._tls
        _context(tls)
        return _Read(
            tls.certificate.read_bytes(),
            tls.key.read_bytes(),
            None if tls.client_ca is None else tls.client_ca.read_bytes(),
        )


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _context(tls: ServerTlsConfig) -> ssl.SSLContext:
    """Tells what is wrong with files, which gRPC does not."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.certificate, tls.key)
    if tls.client_ca is not None:
        ssl.create_default_context(cafile=str(tls.client_ca))
    return context
