"""A relay's file: every fault is told, and what it says is what is done."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from secondsight.certificates.authority import Authority
from server.errors import RelayConfigError
from server.relay.command import app
from server.relay.config import RelayConfig, signing_key
from server.relay.process import Relay

GOOD = """
server: https://hq:8080
grpc: hq:50051
public: https://cameras.example/
api_key_file: relay.key
ca: /etc/ca.pem
mqtt:
  home: {broker: "mqtts://broker", username: relay, password_file: secrets/mqtt}
webhooks:
  guard: {url: "https://guard.example/hook", secret_files: [guard.secret], cameras: [gate], labels: [person]}
"""


def load(folder: Path, text: str) -> RelayConfig:
    path = folder / "relay.yaml"
    path.write_text(text)
    return RelayConfig.load(path)


def test_files_are_beside_the_file(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    home, guard = config.mqtt["home"], config.webhooks["guard"]
    assert (home.host, home.port, home.password_file) == ("broker", 8883, tmp_path / "secrets/mqtt")
    assert guard.secret_files == (tmp_path / "guard.secret",)
    assert (config.api_key_file, config.ca) == (tmp_path / "relay.key", Path("/etc/ca.pem"))
    assert config.data == tmp_path / "relay-data"
    assert config.links_to == "https://cameras.example"
    assert guard.wants("person", 0.1)
    assert not guard.wants("car", 0.9)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(RelayConfigError) as refusal:
        load(
            tmp_path,
            """
            server: http://hq:99999
            grpc: nonsense
            public: cameras.example
            listen: everywhere
            speed: 7
            mqtt:
              home: {broker: broker.example}
              Away: {broker: "mqtt://10.0.0.1", username: me, password_file: secret}
              far: {broker: "mqtt://broker:99999"}
              odd: {broker: "mqtt://broker:abc"}
            webhooks:
              guard: {url: "http://guard.example", events: [everything], cameras: [No Camera], minimum_score: 2}
              far: {url: "https://guard.example:99999/"}
            """,
        )
    for told in (
        "server: it is no address",
        "grpc: it is no address",
        "public: it is no address",
        "listen: ",
        "speed: Extra inputs",
        "mqtt.home: broker is 'broker.example'",
        "mqtt.Away",
        "mqtt.far: broker is",
        "mqtt.odd: broker is",
        "in the clear: use mqtts://",
        "webhooks.guard.events",
        "webhooks.guard.cameras.0",
        "webhooks.guard.minimum_score",
        "webhooks.far: url is no address",
    ):
        assert told in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("server: https://hq", "nobody to hand results to"),
        ("server: https://hq\nserver: https://hq2", "server is given twice"),
        ("server: [", "cannot be read"),
        ("{[a, b]: c}: d", "line 1: a key is no text"),
        ("server: 2024-13-45", "line 1: '2024-13-45' is no timestamp"),
        ("server: &a [*a]", "line 1: an alias holds itself"),
        ("server: &a {<<: [*a]}", "cannot be"),
        ("server: " + 2000 * "[", "lie too deep"),
        ("server: foo", "give https://HOST"),
        ("server: http://hq:0", "give https://HOST"),
        ("server: http://me:secret@hq", "give https://HOST"),
        ("server: https://hq\ngrpc: http://hq:50051", "give HOST:PORT"),
        ("server: https://hq\ngrpc: hq", "give HOST:PORT"),
        (
            'server: https://hq\ncertificate: c.pem\nwebhooks: {x: {url: "https://c"}}',
            "certificate and key go together",
        ),
        ('server: https://hq\nwebhooks: {x: {url: "https://é..example"}}', "url is no address"),
        ("- a", "cannot be"),
        (
            'server: https://hq\nmqtt: {x: {broker: "mqtt://b"}}\nwebhooks: {x: {url: "https://c"}}',
            "names of targets are given once",
        ),
        ('server: https://hq\nwebhooks: {x: {url: "http://guard.example"}}', "use https://"),
        ('server: https://hq\nwebhooks: {x: {url: "https://me:secret@guard.example"}}', "without a user"),
        ('server: https://hq\nwebhooks: {x: {url: "https://guard.example", events: []}}', "events is empty"),
        ('server: https://hq\nmqtt: {x: {broker: "mqtt://b", ca: ca.pem}}', "for mqtts:// alone"),
        ('server: https://hq\nmqtt: {x: {broker: "mqtt://b", prefix: "a/#"}}', "prefix"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(RelayConfigError, match=r"relay\.yaml") as refusal:
        load(tmp_path, text)
    assert told in str(refusal.value)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "content",
    ["", "whsec_", "whsec_c2hvcnQ=", base64.b64encode(bytes(32)).decode(), "whsec_???", "whsec_\nwhsec_"],
)
def test_a_weak_or_unreadable_secret_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "hook.secret"
    path.write_text(content)
    with pytest.raises(RelayConfigError, match=r"hook\.secret"):
        signing_key(path)


def test_two_relays_do_not_share_a_folder(tmp_path: Path) -> None:
    config = load(tmp_path, 'server: "http://127.0.0.1:1"\nwebhooks: {x: {url: "http://127.0.0.1:1"}}')
    first = Relay(config)
    with pytest.raises(RelayConfigError, match="another relay has"):
        Relay(config)
    os.close(first._lock)


@pytest.mark.usefixtures("logging_as_before")
def test_a_file_is_checked_without_being_used(tmp_path: Path) -> None:
    path = tmp_path / "relay.yaml"
    for file, content in (
        ("relay.key", "ssk_1"),
        ("mqtt.password", "one"),
        ("guard.secret", f"whsec_{base64.b64encode(bytes(32)).decode()}"),
    ):
        (tmp_path / file).write_text(content)
    Authority(tmp_path / "tls")
    path.write_text(GOOD.replace("/etc/ca.pem", "tls/ca.pem").replace("secrets/mqtt", "mqtt.password"))
    found = CliRunner().invoke(app, ["--config", str(path), "--check"])
    assert (found.exit_code, found.stdout) == (0, f"{path} is well: home, guard\n")
    assert not (tmp_path / "relay-data").exists()
    path.write_text("server: x")
    assert isinstance(CliRunner().invoke(app, ["--config", str(path), "--check"]).exception, RelayConfigError)


@pytest.mark.usefixtures("logging_as_before")
@pytest.mark.parametrize("words", [["--check"], []])
def test_every_file_that_cannot_be_used_is_told_at_once(tmp_path: Path, words: list[str]) -> None:
    path = tmp_path / "relay.yaml"
    path.write_text(
        """
        server: https://hq
        api_key_file: relay.key
        ca: ca.pem
        mqtt:
          home: {broker: "mqtts://broker", username: me, password_file: mqtt.password, ca: ca.pem}
        webhooks:
          guard: {url: "https://guard.example", secret_files: [guard.secret, missing.secret], ca: none.pem}
        """
    )
    (tmp_path / "ca.pem").write_text("this is no PEM")
    (tmp_path / "guard.secret").write_text(base64.b64encode(bytes(32)).decode())
    found = CliRunner().invoke(app, ["--config", str(path), *words])
    assert isinstance(found.exception, RelayConfigError)
    assert [line.partition(": ")[0].strip() for line in str(found.exception).splitlines()[1:]] == [
        "api_key_file",
        "ca, certificate and key",
        "mqtt.home.password_file",
        "mqtt.home",
        "webhooks.guard.secret_files.0",
        "webhooks.guard.secret_files.1",
        "webhooks.guard.ca",
    ]
    assert not (tmp_path / "relay-data").exists()


@pytest.mark.usefixtures("logging_as_before")
def test_a_key_that_would_go_in_the_clear_is_told(tmp_path: Path) -> None:
    path = tmp_path / "relay.yaml"
    path.write_text(
        'server: http://hq\napi_key_file: relay.key\nwebhooks: {x: {url: "https://guard.example"}}'
    )
    (tmp_path / "relay.key").write_text("ssk_1")
    found = CliRunner().invoke(app, ["--config", str(path), "--check"])
    assert "api_key_file: the API key would go to hq in the clear" in str(found.exception)
