"""A site file: what it gives, and that every fault is told with its place and its remedy."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge import config
from edge.command import app
from edge.config import EdgeConfig, RestartConfig, SiteConfig
from edge.errors import ConfigError
from edge.site_file import read_site
from edge.site_schema import descriptions, site_schema
from tests.conftest import ROOT

GOOD = """\
metrics: 127.0.0.1:9410
codec: {threads: 2}
encoders: 3
restart: {cap_s: 5}
defaults:
  server: hub.example:50051
  capture: {frame_rate: 5, max_side: 1280}
  rate: {kbit_s: 64}
cameras:
  front-door:
    source: rtsp://10.0.0.7/stream
    capture: {max_side: 640, hidden: [[[0, 0], [0.3, 0], [0.3, 0.4]]]}
  on:
    source: clip.mp4
    server: other.example:50051
    rate: null
    quality: 1
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(GOOD)
    return path


def faults(path: Path, secrets: Path | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_site(path, secrets)
    return str(caught.value).replace(f"{path}:", "").splitlines()


def test_cameras_take_the_defaults_key_by_key(site: Path) -> None:
    read = read_site(site)
    front, on = read.cameras
    assert (front.camera_id, front.server, front.source) == (
        "front-door",
        "hub.example:50051",
        "rtsp://10.0.0.7/stream",
    )
    assert (front.capture.frame_rate, front.capture.max_side) == (5, 640)
    assert front.capture.hidden == (((0, 0), (0.3, 0), (0.3, 0.4)),)
    assert front.rate is not None
    assert front.rate.kbit_s == 64
    assert (on.camera_id, on.server, on.quality, on.rate) == ("on", "other.example:50051", 1, None)
    assert (on.capture.frame_rate, on.capture.max_side) == (5, 1280)
    assert (read.metrics, read.encoders, read.codec.threads) == ("127.0.0.1:9410", 3, 2)
    assert read.restart == RestartConfig(cap_s=5)


def test_what_is_not_given_is_as_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("cameras: {a: {source: x.mp4, server: 'h:1'}}")
    assert read_site(path) == SiteConfig(cameras=(EdgeConfig("a", "x.mp4", "h:1"),))


def test_the_environment_goes_before_secrets_and_these_before_the_file(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "SECONDSIGHT_EDGE__CAMERAS__FRONT_DOOR__SOURCE").write_text("rtsp://user:word@10.0.0.7/s\n")
    (secrets / "secondsight_edge__cameras__on__source").write_text("secret.mp4\n")
    (secrets / "of-another-service").write_text("x")
    monkeypatch.setenv("SECONDSIGHT_EDGE__CAMERAS__ON__SOURCE", "environment.mp4")
    monkeypatch.setenv("SECONDSIGHT_EDGE__CAMERAS__FRONT_DOOR__CAPTURE__FRAME_RATE", "2.5")
    monkeypatch.setenv("SECONDSIGHT_EDGE__DEFAULTS__QUALITY", "0")
    monkeypatch.setenv("SECONDSIGHT_EDGE__DEFAULTS__KEEP_ALL", "true")
    monkeypatch.setenv("SECONDSIGHT_EDGE__DEFAULTS__RATE", "null")
    monkeypatch.setenv("SECONDSIGHT_EDGE__ENCODERS", "1")
    read = read_site(site, secrets)
    front, on = read.cameras
    assert (front.source, on.source) == ("rtsp://user:word@10.0.0.7/s", "environment.mp4")
    assert (front.capture.frame_rate, front.capture.max_side) == (2.5, 640)
    assert (front.quality, on.quality) == (0, 1)
    assert (front.rate, front.keep_all, read.encoders) == (None, True, 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("metrix: x", "1: metrix: there is no such key: did you mean metrics?"),
        ("server: x", "1: server: there is no such key: did you mean defaults.server?"),
        ("defaults: {profile: x}", "1: defaults.profile: there is no such key: did you mean codec.profile?"),
        (
            "cameras:\n  a:\n    frame_rate: 5",
            "3: cameras.a.frame_rate: there is no such key: did you mean capture.frame_rate?",
        ),
        (
            "defaults:\n  capture: {max_sied: 5}",
            "2: defaults.capture.max_sied: there is no such key: did you mean max_side?",
        ),
        ("defaults: {quality: high}", "1: defaults.quality: 'high' cannot be: give a whole number (quality:"),
        ("defaults: {keep_all: 7}", "1: defaults.keep_all: 7 cannot be: give true or false"),
        ("defaults: {source: 7}", "1: defaults.source: 7 cannot be: give text, in quotes"),
        ("defaults: {delivery: late}", "1: defaults.delivery: 'late' cannot be: give 'live' or 'complete'"),
        ("defaults: {capture: null}", "1: defaults.capture: null cannot be: give a section of keys"),
        ("cameras: [a]", "1: cameras: a list cannot be: give a section of keys"),
        ("cameras: {Front: {source: x}}", "1: cameras.Front: is no camera name: use 1 to 64 of"),
        ("cameras:\n  a: {server: 'h:1'}", "2: cameras.a: has no source: give it here or under `defaults`"),
        (
            "cameras:\n  a: {source: x, server: h}",
            "2: cameras.a: 'h' is no server address: give HOST:PORT, as in 127.0.0.1:50051",
        ),
        (
            "defaults:\n  capture: {speed: -1}\ncameras: {a: {source: x, server: 'h:1'}}",
            "2: defaults.capture: speed is -1.0: give 1 for",
        ),
        ("restart: {cap_s: 0}", "1: restart: cap_s is 0.0: give seconds above 0"),
        ("cameras:\n  a: {source: x}\n  a: {source: y}", "3: cameras.a is given twice: mend the YAML"),
        ("cameras:\n\ta: x", "2: found character '\\t' that cannot start any token: mend the YAML"),
        (
            "cameras:\n  a: {source: 2024-13-45}",
            "2: '2024-13-45' is no timestamp, write text in quotes: mend",
        ),
        ("encoders: !!int x", "1: 'x' is no int, write text in quotes: mend"),
        ("encoders: !!bool x", "1: 'x' is no bool, write text in quotes: mend"),
        ("cameras:\n  ? [1, 2]\n  : {source: x}", "2: a key is no text: mend the YAML"),
        ("cameras:\n  <<: {? [1, 2] : x}", "2: a key is no text: mend the YAML"),
        ("cameras:\n  a: &a [*a]", "2: an alias holds itself: mend the YAML"),
        ("- a", "1: holds no section of keys: begin with `cameras:`"),
    ],
)
def test_a_fault_is_told_with_its_line_its_key_and_its_remedy(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    assert faults(path)[0].startswith(told)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("metrix: 1\ndefaults: {quality: high}\ncameras: {a: {spool: [1]}}")
    assert len(faults(path)) == 5, "and neither source nor server"


def test_what_cannot_be_is_told_at_once_with_what_is_unknown_and_of_the_wrong_type(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("""\
metrix: 1
encoders: 0
restart: {cap_s: long}
defaults:
  server: h:1
  quality: high
  capture: {max_side: wide}
  rate: {kbit_s: fast, least_quality: 1}
cameras:
  nosource: {}
  hidden:
    source: x
    capture: {hidden: [[[0, 0], [1, 1]]], max_side: 640}
    enhancement: {nth: 0}
  wrongsource: {source: 7}
  typo: {sorce: x, enhancement: {nth: 0}}
  waits: {source: x, delivery: complete, spool: [1]}
""")
    assert {fault.strip().partition(": give")[0] for fault in faults(path)} == {
        "1: metrix: there is no such key: did you mean metrics?",
        "encoders is 0",
        "3: restart.cap_s: 'long' cannot be",
        "6: defaults.quality: 'high' cannot be",
        "7: defaults.capture.max_side: 'wide' cannot be",
        "8: defaults.rate.kbit_s: 'fast' cannot be",
        "10: cameras.nosource: has no source",
        "13: cameras.hidden.capture: a hidden part has 2 corners",
        "14: cameras.hidden.enhancement: enhancement nth is 0",
        "15: cameras.wrongsource.source: 7 cannot be",
        "16: cameras.typo.sorce: there is no such key: did you mean source?",
        "16: cameras.typo.enhancement: enhancement nth is 0",
        "17: cameras.waits.spool: a list cannot be",
    }


def test_a_fault_of_the_defaults_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("defaults: {server: 'h:1', source: x, capture: {speed: -1}}\ncameras: {a: {}, b: {}}")
    assert len(faults(path)) == 1


def test_cameras_that_cannot_be_are_no_lack_of_cameras(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("encoders: 0\ncameras: [a]")
    assert len(faults(path)) == 2


@pytest.mark.parametrize("text", ["a: \x01", "a: " + 2000 * "["])
def test_what_yaml_cannot_read_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"site\.yaml"):
        read_site(path)


def test_an_empty_file_has_no_camera(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("# nothing yet\n")
    with pytest.raises(ConfigError) as caught:
        read_site(path)
    assert str(caught.value).startswith(f"{path}: the site has no camera: name one under `cameras`")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read.*--config"):
        read_site(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SECONDSIGHT_EDGE__CAMERS__A__SOURCE", "x", "there is no key 'camers': did you mean cameras?"),
        (
            "SECONDSIGHT_EDGE__DEFAULTS__QUALITI",
            "1",
            "environment variable SECONDSIGHT_EDGE__DEFAULTS__QUALITI: defaults.qualiti: there is no such key: "
            "did you mean quality?",
        ),
        (
            "SECONDSIGHT_EDGE__CAMERAS__FRONT_DOOR__QUALITY",
            "high",
            "environment variable SECONDSIGHT_EDGE__CAMERAS__FRONT_DOOR__QUALITY: cameras.front-door.quality: 'high' ",
        ),
        ("SECONDSIGHT_EDGE__DEFAULTS", "[", "give a section as JSON, or each of its keys by itself"),
    ],
)
def test_a_fault_of_the_environment_names_the_variable(
    site: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv(variable, value)
    (fault,) = faults(site)
    assert told in fault
    assert variable.startswith("SECONDSIGHT_EDGE__DEFAULTS") or variable in fault


def test_a_secret_is_not_told(site: Path, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "SECONDSIGHT_EDGE__DEFAULTS__QUALITY").write_text("hunter2")
    (fault,) = faults(site, secrets)
    assert fault.startswith(
        "secret SECONDSIGHT_EDGE__DEFAULTS__QUALITY: defaults.quality: the value cannot be"
    )
    assert "hunter2" not in fault


def test_a_folder_of_secrets_that_is_not_there_is_named(site: Path, tmp_path: Path) -> None:
    assert "is no folder of secrets" in faults(site, tmp_path / "none")[0]


def test_every_option_is_described() -> None:
    classes = [
        cls for cls in vars(config).values() if isinstance(cls, type) and dataclasses.is_dataclass(cls)
    ]
    assert SiteConfig in classes
    for cls in classes:
        lacking = {field.name for field in dataclasses.fields(cls)} - set(descriptions(cls))
        assert not lacking, f"the docstring of {cls.__name__} does not tell what {lacking} is"


@pytest.mark.usefixtures("logging_as_before")
def test_the_schema_is_published_as_it_is() -> None:
    published = json.loads((ROOT / "docs" / "edge.schema.json").read_text())
    assert published == site_schema(), "write it anew: secondsight edge schema > docs/edge.schema.json"
    assert json.loads(CliRunner().invoke(app, ["schema"]).stdout) == published
