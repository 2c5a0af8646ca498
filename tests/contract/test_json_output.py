"""With --json nothing but JSON is on standard output, and it says what the tables say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from argon2 import PasswordHasher
from PIL import Image
from typer.testing import CliRunner

from secondsight.command_line import app
from secondsight.exit_codes import ExitCode
from server.access import passwords
from server.store.embedded import EmbeddedStore


def told(*words: object, code: ExitCode = ExitCode.OK) -> Any:
    """The one document that a command prints with --json."""
    result = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert result.exit_code == code, result.stderr
    (line,) = result.stdout.splitlines()
    return json.loads(line)


def test_a_picture_goes_through_its_layers(tmp_path: Path) -> None:
    pixels = np.linspace(0, 255, 64 * 96 * 3).astype(np.uint8).reshape(64, 96, 3)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    layers = told("encode", tmp_path / "photo.png")
    assert (layers["width"], layers["height"]) == (96, 64)
    machine = Path(layers["machine"]["file"])
    assert machine.stat().st_size == layers["machine"]["bytes"]
    seen = told("decode", machine, tmp_path / "machine.png")
    assert seen == {"file": str(tmp_path / "machine.png"), "view": "machine", "width": 96, "height": 64}
    human = told("decode", machine, tmp_path / "h.png", "--enhancement", layers["enhancement"]["file"])
    assert human["view"] == "human"


def test_people_keys_tokens_and_the_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=256, parallelism=1))
    data = ("--data", tmp_path)
    added = told("access", "user", "add", "otto", "--role", "operator", "--camera", "gate", *data)
    assert added["user"] == "otto"
    key = told("access", "user", "key", "otto", *data)
    assert key["key"].startswith(key["prefix"])
    (user,) = told("access", "user", "list", *data)["users"]
    assert (user["user"], user["role"], user["cameras"]) == ("otto", "operator", ["gate"])
    assert [each["prefix"] for each in user["keys"]] == [key["prefix"]]
    token = told("access", "camera", "add", "gate", *data)
    (listed,) = told("access", "camera", "list", *data)["tokens"]
    assert (listed["camera"], listed["prefix"]) == ("gate", token["prefix"])
    assert "revoked" in told("access", "camera", "revoke", "gate", *data)["done"]
    assert "otto" in told("access", "user", "remove", "otto", *data)["done"]
    verified = told("audit", "verify", *data)
    assert (verified["unchanged"], verified["records"], verified["faults"]) == (True, 5, [])
    exported = CliRunner().invoke(app, ["audit", "export", "--json", "--data", str(tmp_path)])
    assert len([json.loads(line) for line in exported.stdout.splitlines()]) == verified["records"]


def test_a_changed_audit_is_told_by_the_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=256, parallelism=1))
    for name in ("anna", "otto"):
        told("access", "user", "add", name, "--data", tmp_path)
    (segment, *_) = sorted(path for path in (tmp_path / "audit").iterdir() if path.stat().st_size)
    segment.write_bytes(segment.read_bytes().replace(b"anna", b"emma"))
    verified = told("audit", "verify", "--data", tmp_path, code=ExitCode.FAILURE)
    assert verified["faults"]
    assert not verified["unchanged"]


def test_certificates_tasks_models_and_recognisers(tmp_path: Path, valkey: EmbeddedStore) -> None:
    made = told("certificates", "make", tmp_path / "tls", "--host", "localhost", "--camera", "gate")
    assert all(Path(each["certificate"]).is_file() and Path(each["key"]).is_file() for each in made["made"])
    assert told("tasks", "list", "--store", valkey.url) == {"tasks": []}
    assert "lite" in {each["profile"] for each in told("models")["models"]}
    (described,) = told("recogniser", "list", "ssd-mobilenet")["recognisers"]
    assert "person" in described["labels"]
    assert (
        told("plan", "--cameras", 2, "--fps", 1, "--width", 640, "--height", 360)["mean"]["store_bytes"] > 0
    )
