"""What can be said of the containers without an engine: all that they name exists.

No image is built here.
"""

import re
import shlex
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import redis
import typer
import yaml

from server.store.config import StoreConfig, parse_size
from server.store.embedded import EmbeddedStore
from tests.conftest import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("edge", "server")


def instructions(service: str) -> list[tuple[str, str]]:
    """The Dockerfile's instructions and their arguments, continuation lines joined."""
    text = (ROOT / SERVICES[service]["build"]["dockerfile"]).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def arguments(service: str, instruction: str) -> list[str]:
    return [rest for word, rest in instructions(service) if word == instruction]


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
    assert set(SERVICES) == {"edge", "server", "redis"}
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        for mount in service.get("volumes", []):
            assert mount.partition(":")[0] in COMPOSE["volumes"]


@pytest.mark.parametrize("service", OURS)
def test_commands_and_variables_exist(service: str) -> None:
    assert arguments(service, "ENTRYPOINT") == [f'["secondsight", "{service}"]']
    flags, variables = options(service)
    given = {word for word in SERVICES[service].get("command", []) if word.startswith("--")}
    assert given <= flags
    baked = re.findall(r"\b(SECONDSIGHT_\w+)=", " ".join(arguments(service, "ENV")))
    assert {*baked, *SERVICES[service].get("environment", {})} <= variables


@pytest.mark.parametrize("service", OURS)
def test_images_are_built_from_what_is_here(service: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    admitted = [line[1:] for line in ignored if line.startswith("!")]
    copied = [
        source for line in arguments(service, "COPY") if "--from" not in line for source in line.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists()
        assert any(Path(path).is_relative_to(source.rstrip("/")) for path in admitted)
    for line in arguments(service, "RUN"):
        for word in shlex.split(line):
            if word.startswith("requirements/"):
                assert (ROOT / word).is_file()
                assert word in admitted


@pytest.mark.parametrize("service", OURS)
def test_images_do_not_run_as_root_and_tell_their_health(service: str) -> None:
    assert arguments(service, "USER")[-1] not in ("root", "0")
    assert len(arguments(service, "HEALTHCHECK")) == 1


def test_the_packages_taken_for_their_files_are_pinned() -> None:
    pins = (ROOT / "requirements" / "assets.txt").read_text()
    for service in OURS:
        for pattern in re.findall(r"grep '\^([\w-]+)'", " ".join(arguments(service, "RUN"))):
            assert re.search(rf"^{pattern}==\d", pins, re.MULTILINE)


def test_the_store_is_run_as_the_embedded_one_is(tmp_path: Path) -> None:
    """Durability and eviction are part of what the product promises, whoever runs the store."""
    _, *settings = SERVICES["redis"]["command"]
    given = dict(zip(settings[::2], settings[1::2], strict=True))
    assert parse_size(given.pop("--maxmemory")) == StoreConfig(data=tmp_path).max_memory
    with (
        EmbeddedStore(StoreConfig(data=tmp_path, port=0)) as store,
        redis.Redis.from_url(store.url) as client,
    ):
        for flag, value in given.items():
            name = flag.removeprefix("--")
            assert client.config_get(name) == {name: value}
