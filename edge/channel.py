"""The gRPC channel to the server: limits, keepalive, TLS, and the camera's token."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc
import grpc.aio

from edge.config import EdgeConfig, TlsConfig
from edge.errors import ConfigError, CredentialsError
from secondsight import limits


def open_channel(config: EdgeConfig) -> grpc.aio.Channel:
    """A channel of its own for one connection. Close it.

    Certificates are read at every call, so that renewed ones are taken without a restart.

    Raises:
        CredentialsError: a certificate or a key cannot be used.
    """
    options = [
        ("grpc.max_send_message_length", limits.MESSAGE_BYTES),
        ("grpc.max_receive_message_length", limits.MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", round(config.keepalive_time_s * 1000)),
        ("grpc.keepalive_timeout_ms", round(config.keepalive_timeout_s * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # A channel of its own per connection, not one that a closed channel left behind.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if config.tls is None:
        return grpc.aio.insecure_channel(config.server, options=options)
    return grpc.aio.secure_channel(config.server, _credentials(config.tls), options=options)


def call_metadata(config: EdgeConfig) -> list[tuple[str, str]]:
    """Metadata of a call: the bearer token, read now, so that it can be exchanged without a restart.

    Raises:
        CredentialsError: the token's file cannot be read or holds none.
    """
    path = config.token_file
    if path is None:
        return []
    token = _read(path, "the token").decode("ascii", "replace").strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise CredentialsError(f"{path} holds no token: write the camera's token there, on one line")
    return [("authorization", f"Bearer {token}")]


def check_credentials(config: EdgeConfig) -> None:
    """Look once at what every connection will need.

    Raises:
        ConfigError: a file is not there, or is not what it should be.
    """
    try:
        call_metadata(config)
        for tls in (config.tls, config.store_tls):
            if tls is not None:
                _credentials(tls)
    except CredentialsError as error:
        raise ConfigError(str(error)) from error


def _credentials(tls: TlsConfig) -> grpc.ChannelCredentials:
    # gRPC tells of a bad file only by a connection that cannot be had; the ssl module says what is wrong.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authorities = certificate = key = None
    if tls.ca is not None:
        authorities = _read(tls.ca, "the certificates of authorities")
        try:
            context.load_verify_locations(cadata=authorities.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            raise CredentialsError(f"{tls.ca} holds no certificate in PEM: {error}") from error
    if tls.certificate is not None and tls.key is not None:
        certificate = _read(tls.certificate, "the certificate")
        key = _read(tls.key, "the certificate's key")
        try:
            context.load_cert_chain(tls.certificate, tls.key)
        except (ssl.SSLError, OSError) as error:
            raise CredentialsError(
                f"{tls.certificate} and {tls.key} are no certificate and its key, both in PEM: {error}"
            ) from error
    return grpc.ssl_channel_credentials(authorities, key, certificate)


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialsError(f"cannot read {what} from {path}: {error.strerror}") from error
