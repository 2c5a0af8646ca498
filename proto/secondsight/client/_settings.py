"""Where the server is, who asks, and how patiently."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from secondsight.client._exceptions import KeyInTheClearError, SettingsError

DEFAULT_SERVER: Final = "http://127.0.0.1:8080"
DEFAULT_GRPC_PORT: Final = 50051

_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds that a step of a call may take. A call has no limit as a whole; a step that makes none has ended.

    Attributes:
        connect: until the connection is there, with TLS.
        read: without a byte of the answer. A human view that an edge has to send first takes a while.
        write: until a part of the request is taken.
        pool: until a connection is free.
        acknowledge: without an answer to frames that were pushed.
        drain: for answers to frames under way, once a server has said that it leaves.
    """

    connect: float = 5.0
    read: float = 60.0
    write: float = 30.0
    pool: float = 30.0
    acknowledge: float = 20.0
    drain: float = 5.0

    def __post_init__(self) -> None:
        for name in ("connect", "read", "write", "pool", "acknowledge", "drain"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"the timeout {name} is {getattr(self, name)} s; give more than 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often a call is tried, if trying it again does no harm.

    The n-th wait is uniform in [0, min(longest_wait, first_wait * 2**n)] seconds (full jitter). What the server asks
    for by Retry-After is waited for on top, unless it is more than `patience`: then the error is raised at once.

    Attributes:
        attempts: of one call. Subscriptions and feeds, once they were there, are opened again for ever.
    """

    attempts: int = 4
    first_wait: float = 0.25
    longest_wait: float = 10.0
    patience: float = 30.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise SettingsError(f"a call cannot have {self.attempts} attempts; give 1 or more")
        if self.first_wait < 0 or self.longest_wait < 0 or self.patience < 0:
            raise SettingsError("waits of retries are not negative")


NO_RETRIES: Final = Retries(attempts=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files in PEM.

    Attributes:
        ca: the authority of the server's certificate; None for those of the web.
        certificate, key: what this client shows of itself, when the server asks for that.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise SettingsError("a client's certificate and its key go together: give both, or none")

    def context(self) -> ssl.SSLContext:
        """For HTTP; it also says what is wrong with a file, which gRPC does not.

        Raises:
            SettingsError: a file cannot be read, or is not what it should be.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            names = ", ".join(str(path) for path in (self.ca, self.certificate, self.key) if path)
            raise SettingsError(f"{names or 'the web'}: no certificates in PEM that fit: {error}") from error
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that a client is told.

    Attributes:
        server: HTTP address, ``http://HOST:PORT`` or ``https://HOST:PORT``.
        grpc: HOST:PORT for results and pushed frames; the server's host and port 50051 when None. It speaks TLS if
            `server` does.
        api_key: of a person or program, by ``secondsight access user key NAME``.
        camera_token: of a camera, to push its frames, by ``secondsight access camera add CAMERA``.

    Raises:
        SettingsError: something that cannot be.
        KeyInTheClearError: a key would go beyond this machine without TLS.
    """

    server: str = DEFAULT_SERVER
    grpc: str | None = None
    api_key: str | None = field(default=None, repr=False)
    camera_token: str | None = field(default=None, repr=False)
    tls: Tls = Tls()
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()

    def __post_init__(self) -> None:
        parts = urlsplit(self.server)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise SettingsError(
                f"{self.server!r} is no address of a server: give http://HOST:PORT or https://…"
            )
        host, _, port = self.grpc_address.rpartition(":")
        if not host or not port.isdecimal():
            raise SettingsError(f"{self.grpc!r} is no gRPC address: give HOST:PORT")
        for what, secret in (("API key", self.api_key), ("camera token", self.camera_token)):
            if secret is None:
                continue
            if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
                raise SettingsError(f"the {what} is none: it is one word, as the server printed it")
            for name in () if self.secure else (parts.hostname, host.strip("[]")):
                if name not in _LOOPBACK:
                    raise KeyInTheClearError(
                        f"the {what} would go to {name} in the clear: use https://, or ask on that machine"
                    )

    @property
    def secure(self) -> bool:
        """Whether the server is spoken to by TLS."""
        return self.server.startswith("https://")

    @property
    def grpc_address(self) -> str:
        """HOST:PORT."""
        if self.grpc is not None:
            return self.grpc
        host = urlsplit(self.server).hostname or ""
        return f"[{host}]:{DEFAULT_GRPC_PORT}" if ":" in host else f"{host}:{DEFAULT_GRPC_PORT}"

    @classmethod
    def from_environment(cls) -> Settings:
        """Those of the variables that the command line reads.

        ``SECONDSIGHT_URL`` (HTTP address), ``SECONDSIGHT_SERVER`` (gRPC address), ``SECONDSIGHT_API_KEY``,
        ``SECONDSIGHT_CAMERA_TOKEN``, ``SECONDSIGHT_CA``, ``SECONDSIGHT_CERTIFICATE``, ``SECONDSIGHT_KEY``.
        """

        def given(name: str) -> str | None:
            return os.environ.get(f"SECONDSIGHT_{name}") or None

        def file(name: str) -> Path | None:
            path = given(name)
            return None if path is None else Path(path)

        return cls(
            server=given("URL") or DEFAULT_SERVER,
            grpc=given("SERVER"),
            api_key=given("API_KEY"),
            camera_token=given("CAMERA_TOKEN"),
            tls=Tls(ca=file("CA"), certificate=file("CERTIFICATE"), key=file("KEY")),
        )
