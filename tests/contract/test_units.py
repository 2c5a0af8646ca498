"""The systemd units: systemd accepts them, and what they name exists."""

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.contract.test_containers import options

UNITS = ROOT / "docker" / "systemd"
SERVICES = ("edge", "server")
PROGRAM = "/opt/secondsight/bin/secondsight"


def settings(service: str) -> dict[str, list[str]]:
    """Of the section Service: every value that a key is given."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in (UNITS / f"secondsight-{service}.service").read_text().splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_systemd_accepts_the_unit(service: str, tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("no systemd-analyze here")
    text = (UNITS / f"secondsight-{service}.service").read_text()
    assert PROGRAM in text
    unit = tmp_path / f"secondsight-{service}.service"
    # It looks for the program, which is elsewhere here.
    unit.write_text(text.replace(PROGRAM, str(Path(sysconfig.get_path("scripts"), "secondsight"))))
    found = subprocess.run([verify, "verify", "--man=no", unit], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("service", SERVICES)
def test_the_unit_starts_a_command_that_exists(service: str) -> None:
    (start,) = settings(service)["ExecStart"]
    program, command, *words = start.split()
    assert (program, command) == (PROGRAM, service)
    flags, variables = options(service)
    assert {word for word in words if word.startswith("--")} <= flags
    given = {value.partition("=")[0] for value in settings(service)["Environment"]}
    assert all(name in variables or name.startswith("SECONDSIGHT_EDGE__") for name in given)


@pytest.mark.parametrize("service", SERVICES)
def test_the_unit_is_watched_restarted_and_confined(service: str) -> None:
    unit = settings(service)
    for key, value in (
        ("Type", "notify"),
        ("Restart", "always"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("DynamicUser", "yes"),
        ("CapabilityBoundingSet", ""),
    ):
        assert unit[key] == [value]
    assert float(unit["WatchdogSec"][0].removesuffix("s")) > 0
    # What is written lies in the folder that systemd gives.
    (state,) = unit["StateDirectory"]
    for value in unit["Environment"]:
        name, _, path = value.partition("=")
        assert Path(path).is_relative_to(f"/var/lib/{state}"), name


def test_the_units_leave_time_to_drain() -> None:
    from edge.config import EdgeConfig
    from server.config import ServerConfig

    def stop_s(service: str) -> float:
        return float(settings(service)["TimeoutStopSec"][0].removesuffix("s"))

    assert stop_s("edge") > EdgeConfig.grace_s + EdgeConfig.store_timeout_s
    server = ServerConfig()
    assert stop_s("server") > 3 * server.drain_grace + server.leave_within
