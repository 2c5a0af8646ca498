"""What a relay is told, by a YAML file::

server: https://hq:8080             # as browsers call it
grpc: hq:50051                      # when its port is another one
api_key_file: relay.key             # of a user with the role viewer
ca: ca.pem
data: relay-data                    # how far each target is, and dead letters
listen: 127.0.0.1:9420              # /healthz, /readyz, /metrics
mqtt:
  home:                             # a name of yours
    broker: mqtts://broker:8883
    username: secondsight
    password_file: mqtt.password
webhooks:
  guard:
    url: https://guard.example/hooks/secondsight
    secret_files: [guard.secret]
    events: [things, alerts]
    cameras: [gate]
    labels: [person]

Files are looked for beside the YAML file. Secrets are in files alone.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from secondsight import store_keys
from secondsight.client import SettingsError, Tls
from secondsight.yaml_tree import YamlTreeError, parse_yaml
from server.config import is_loopback, parse_address
from server.errors import RelayConfigError, ServerConfigError

_TARGET: Final = "[a-z0-9][a-z0-9_-]{0,31}"
_SECRET_PREFIX: Final = "whsec_"
_LEAST_SECRET: Final = 16


def _camera(name: str) -> str:
    try:
        return store_keys.checked_camera_id(name)
    except store_keys.InvalidCameraIdError as error:
        raise ValueError(str(error)) from error


def _listened(address: str) -> str:
    try:
        parse_address(address)
    except ServerConfigError as error:
        raise ValueError(str(error)) from error
    return address


def _parts(address: str) -> SplitResult | None:
    """Of an address with a scheme and a host; None where nobody could be reached by it."""
    try:
        httpx.URL(address)  # it also looks at what names of hosts may be
        parts = urlsplit(address)
        reachable = parts.hostname and parts.port != 0
    except (ValueError, httpx.InvalidURL):
        return None
    return parts if reachable else None


def _web(address: str) -> str:
    parts = _parts(address)
    if parts is None or parts.scheme not in ("http", "https") or parts.username:
        raise ValueError("it is no address: give https://HOST:PORT or http://HOST:PORT")
    return address


def _called(address: str) -> str:
    parts = _parts(f"grpc://{address}")
    if parts is None or parts.port is None or parts.netloc != address:
        raise ValueError("it is no address: give HOST:PORT")
    return address


CameraId = Annotated[str, AfterValidator(_camera)]
Seconds = Annotated[float, Field(gt=0, le=86400)]
TopicPart = Annotated[str, Field(pattern=r"^[^+#/\x00$][^+#\x00]{0,63}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(_Strict):
    """What every target may say.

    Attributes:
        cameras: only these; all, also those that appear later, when empty.
        labels, minimum_score: only such detections and things.
        task: of this recognition task.
        start: where the very first start of this target begins.
    """

    cameras: tuple[CameraId, ...] = ()
    labels: frozenset[str] = frozenset()
    minimum_score: Annotated[float, Field(ge=0, le=1)] = 0.0
    task: CameraId = store_keys.DEFAULT_TASK
    start: Literal["latest", "earliest"] = "latest"

    def wants(self, label: str, score: float) -> bool:
        """Whether detections like this are handed on."""
        return score >= self.minimum_score and (not self.labels or label in self.labels)


class MqttTarget(Target):
    """A broker.

    Attributes:
        broker: ``mqtts://HOST[:8883]``, or ``mqtt://HOST[:1883]`` without TLS.
        ca, certificate, key: in PEM; without `ca` the authorities of the web.
        allow_plaintext: send the password in the clear to another machine.
        prefix: of all topics.
        home_assistant: topic prefix of Home Assistant's discovery; null for none.
        hold_s: for which a thing counts as there after it was last seen.
        results: hand on every result, on ``PREFIX/CAMERA/result``.
        state_age_s: what is older changes no state: it only tells of what was.
        most_labels: of a camera; beyond that labels get no topics of their own.
    """

    broker: str
    username: str | None = None
    password_file: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    allow_plaintext: bool = False
    client_id: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,64}$")] | None = None
    prefix: TopicPart = "secondsight"
    home_assistant: TopicPart | None = "homeassistant"
    hold_s: Seconds = 3.0
    results: bool = False
    state_age_s: Seconds = 60.0
    most_labels: Annotated[int, Field(ge=1, le=1000)] = 100
    keepalive_s: Annotated[int, Field(ge=1, le=3600)] = 30
    answer_within_s: Seconds = 10.0
    look_s: Seconds = 10.0
    """Between two looks at the state of the cameras."""

    @model_validator(mode="after")
    def _makes_sense(self) -> MqttTarget:
        parts = _parts(self.broker)
        if parts is None or parts.scheme not in ("mqtt", "mqtts") or parts.path or parts.username:
            raise ValueError(f"broker is {self.broker!r}: give mqtts://HOST:PORT, or mqtt://HOST:PORT")
        if self.password_file and not self.username:
            raise ValueError("there is a password_file and no username: give both, or none")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: give both, or none")
        if not self.secure:
            if self.ca or self.certificate:
                raise ValueError("ca and certificate are for mqtts:// alone")
            if self.password_file and not self.allow_plaintext and not is_loopback(self.host):
                raise ValueError(
                    "the password would go over the network in the clear: use mqtts://, or set allow_plaintext"
                )
        return self

    @property
    def secure(self) -> bool:
        """Whether it is spoken to by TLS."""
        return self.broker.startswith("mqtts:")

    @property
    def host(self) -> str:
        """Of the broker."""
        return urlsplit(self.broker).hostname or ""

    @property
    def port(self) -> int:
        """Of the broker."""
        return urlsplit(self.broker).port or (8883 if self.secure else 1883)


class Kind(StrEnum):
    """What a webhook can be told."""

    THINGS = "things"
    """Tracked things that come, change and go."""
    ALERTS = "alerts"
    """Frames that somebody has to look at: the first after a while without any."""
    RESULTS = "results"
    """Every result in which something is seen."""
    FAILURES = "failures"
    """Frames in which nothing could be recognised, and results that were no longer kept when they were to be sent."""


class WebhookTarget(Target):
    """An address that takes events by POST.

    Attributes:
        url: https, or http on this machine alone unless `allow_plaintext`.
        secret_files: each holds one secret, ``whsec_`` and at least 16 bytes in base64; events are signed by all of
            them, so that a secret can be exchanged without a pause.
        form: CloudEvents 1.0 (structured JSON), or plain JSON.
        alert_pause_s: without alerts of a camera, after which the next one is told.
        attempts: for one event; then it becomes a dead letter.
        dead_letters: kept; beyond that the oldest go.
    """

    url: str
    secret_files: tuple[Path, ...] = ()
    events: frozenset[Kind] = frozenset({Kind.THINGS, Kind.ALERTS})
    form: Literal["cloudevents", "plain"] = "cloudevents"
    ca: Path | None = None
    allow_plaintext: bool = False
    alert_pause_s: Seconds = 30.0
    answer_within_s: Seconds = 10.0
    attempts: Annotated[int, Field(ge=1, le=100)] = 8
    first_wait_s: Seconds = 1.0
    longest_wait_s: Seconds = 300.0
    dead_letters: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000

    @model_validator(mode="after")
    def _makes_sense(self) -> WebhookTarget:
        parts = _parts(self.url)
        if parts is None or parts.scheme not in ("http", "https") or parts.username or parts.fragment:
            raise ValueError(
                "url is no address: give https://HOST:PORT/PATH, without a user and a password in it"
            )
        if parts.scheme == "http" and not self.allow_plaintext and not is_loopback(parts.hostname or ""):
            raise ValueError(
                "events would go over the network in the clear: use https://, or set allow_plaintext"
            )
        if not self.events:
            raise ValueError("events is empty: name some of " + ", ".join(Kind))
        return self


class RelayConfig(_Strict):
    """All of it. `public` is how whoever gets a link calls the server."""

    server: Annotated[str, AfterValidator(_web)]
    grpc: Annotated[str, AfterValidator(_called)] | None = None
    public: Annotated[str, AfterValidator(_web)] | None = None
    api_key_file: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    data: Path = Path("relay-data")
    listen: Annotated[str, AfterValidator(_listened)] = "127.0.0.1:9420"
    mqtt: dict[Annotated[str, Field(pattern=f"^{_TARGET}$")], MqttTarget] = Field(default_factory=dict)
    webhooks: dict[Annotated[str, Field(pattern=f"^{_TARGET}$")], WebhookTarget] = Field(default_factory=dict)
    save_every_s: Seconds = 1.0
    """Between two times that positions are written; what came since comes again after a crash."""
    longest_pause_s: Seconds = 60.0
    """Between two attempts to reach the server or a broker."""
    drain_grace_s: Seconds = 3.0

    @model_validator(mode="after")
    def _makes_sense(self) -> RelayConfig:
        if not self.mqtt and not self.webhooks:
            raise ValueError("there is nobody to hand results to: add a section `mqtt` or `webhooks`")
        both = self.mqtt.keys() & self.webhooks.keys()
        if both:
            raise ValueError(f"{', '.join(sorted(both))}: names of targets are given once")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: give both, or none")
        return self

    @property
    def links_to(self) -> str:
        """What addresses of frames begin with."""
        return (self.public or self.server).rstrip("/")

    @classmethod
    def load(cls, path: Path) -> RelayConfig:
        """The configuration of a file.

        Raises:
            RelayConfigError: names every fault.
        """
        try:
            content = parse_yaml(path.read_text("utf-8")).root
        except (OSError, UnicodeDecodeError, YamlTreeError) as error:
            raise RelayConfigError(f"{path} cannot be read: {error}") from error
        try:
            config = cls.model_validate(content or {})
        except ValidationError as error:
            faults = "".join(
                f"\n  {'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg'].removeprefix('Value error, ')}"
                for fault in error.errors()
            )
            raise RelayConfigError(f"{path} cannot be:{faults}") from error
        return _beside(config, path.parent)


def read_secret(path: Path, what: str) -> str:
    """The one line of a file of secrets.

    Raises:
        RelayConfigError
    """
    try:
        secret = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RelayConfigError(f"{what} cannot be read from {path}: {error}") from error
    if not secret or "\n" in secret:
        raise RelayConfigError(f"{path} holds no {what}: write it there, on one line")
    return secret


def tls_of(ca: Path | None, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """How somebody is spoken to by TLS, by files in PEM.

    Raises:
        RelayConfigError: a file cannot be read, or is not what it should be.
    """
    try:
        return Tls(ca=ca, certificate=certificate, key=key).context()
    except SettingsError as error:
        raise RelayConfigError(str(error)) from error


def signing_key(path: Path) -> bytes:
    """The key of a webhook's secret.

    Raises:
        RelayConfigError
    """
    secret = read_secret(path, "webhook secret")
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < _LEAST_SECRET or not secret.startswith(_SECRET_PREFIX):
        raise RelayConfigError(
            f"{path} holds no webhook secret: it is {_SECRET_PREFIX} and at least {_LEAST_SECRET} random bytes in "
            "base64, as in `echo whsec_$(openssl rand -base64 32)`"
        )
    return key


def _beside(config: RelayConfig, folder: Path) -> RelayConfig:
    """The same with its relative paths taken from `folder`."""

    def settled(value: Any) -> Any:
        if isinstance(value, Path):
            return folder / value
        if isinstance(value, tuple):
            return tuple(map(settled, value))
        if isinstance(value, dict):
            return {name: settled(each) for name, each in value.items()}
        if isinstance(value, BaseModel):
            return value.model_copy(update={name: settled(each) for name, each in value})
        return value

    settled_config: RelayConfig = settled(config)
    return settled_config
