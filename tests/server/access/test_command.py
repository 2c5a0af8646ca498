"""`secondsight access` at a terminal."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.access.access import Access
from server.access.access_file import AccessFile
from server.access.caller import Role
from server.access.command import app
from server.access.register import User
from server.audit.chain import records
from server.config import ServerConfig
from server.errors import LastAdminError, UnknownCredentialError, UserError


def access(data: Path, *arguments: str) -> str:
    """Run it; gives what it prints on standard output."""
    result = CliRunner().invoke(app, [*arguments, "--data", str(data)])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def server(data: Path) -> Access:
    return Access(ServerConfig(data=data, access_file=data / "access.json"))


async def test_users_keys_and_tokens(tmp_path: Path) -> None:
    password = access(tmp_path, "user", "add", "anna", "--role", "operator", "--camera", "gate").strip()
    key = access(tmp_path, "user", "key", "anna").strip()
    token = access(tmp_path, "camera", "add", "gate").strip()
    running = server(tmp_path)
    principal, camera = running.principal(key), running.camera(token)
    assert principal is not None and camera is not None
    assert (principal.role, principal.cameras, camera.camera_id) == (Role.OPERATOR, {"gate"}, "gate")
    assert await running.log_in("anna", password, "a password of my own", "")

    users, cameras = access(tmp_path, "user", "list"), access(tmp_path, "camera", "list")
    assert key[:12] in users and "operator" in users and key[13:] not in users
    assert token[:12] in cameras and token[13:] not in cameras

    access(tmp_path, "user", "key", "anna", "--revoke", key[:12])
    access(tmp_path, "camera", "revoke", token[:12])
    access(tmp_path, "user", "password", "anna")
    assert server(tmp_path).principal(key) is None
    assert server(tmp_path).camera(token) is None
    access(tmp_path, "user", "remove", "anna")
    assert access(tmp_path, "user", "list") == ""

    told = [record.event.detail for record in records(tmp_path / "audit")]
    assert len(told) == 7
    assert told[0] == "user anna added as operator, cameras gate"
    written = (tmp_path / "audit" / "000000000001.jsonl").read_text()
    assert not any(secret in written for secret in (password, key[13:], token[13:]))


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (("user", "add", "a b"), UserError, "letters, digits"),
        (("user", "add", "anna"), UserError, "already"),
        (("user", "remove", "bert"), UserError, "user list"),
        (("user", "key", "anna", "--revoke", "ssu_00000000"), UnknownCredentialError, "no key"),
        (("camera", "add", "no/name"), ValueError, "camera"),
        (("camera", "revoke", "gate"), UnknownCredentialError, "camera list"),
    ],
)
def test_what_makes_no_sense_is_told_and_changes_nothing(
    tmp_path: Path, arguments: tuple[str, ...], error: type[Exception], told: str
) -> None:
    access(tmp_path, "user", "add", "anna")
    before = (tmp_path / "access.json").read_bytes()
    with pytest.raises(error, match=told):
        access(tmp_path, *arguments)
    assert (tmp_path / "access.json").read_bytes() == before


def test_a_change_of_a_file_elsewhere_has_to_say_whose_audit_it_belongs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "etc" / "access.json"
    refused = CliRunner().invoke(app, ["user", "add", "anna", "--file", str(elsewhere)])
    assert isinstance(refused.exception, UserError)
    assert "--data FOLDER" in str(refused.exception)
    assert list(tmp_path.iterdir()) == []
    access(tmp_path / "data", "user", "add", "anna", "--file", str(elsewhere))
    assert [record.event.detail for record in records(tmp_path / "data" / "audit")]
    assert "anna" in CliRunner().invoke(app, ["user", "list", "--file", str(elsewhere)]).stdout


def test_changes_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    file = AccessFile(tmp_path / "access.json")

    def add(number: int) -> None:
        user = User(role=Role.VIEWER, sessions_since=datetime.now(UTC))
        AccessFile(file.path).change(lambda register: register.with_user(f"user-{number}", user))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(40)))
    assert len(file.read().users) == 40


def test_a_user_is_changed_and_an_admin_is_always_left(tmp_path: Path) -> None:
    key = {}
    for name in ("anna", "otto"):
        access(tmp_path, "user", "add", name, "--role", "admin")
        key[name] = access(tmp_path, "user", "key", name).strip()
    running = server(tmp_path)
    access(tmp_path, "user", "change", "otto", "--role", "operator", "--camera", "gate")
    otto = running.principal(key["otto"])
    assert otto is not None
    assert (otto.role, otto.cameras) == (Role.OPERATOR, {"gate"})
    access(tmp_path, "user", "change", "otto", "--all-cameras", "--disable")
    assert running.principal(key["otto"]) is None
    assert "disabled" in access(tmp_path, "user", "list")

    for arguments in (
        ("change", "anna", "--role", "viewer"),
        ("change", "anna", "--disable"),
        ("remove", "anna"),
    ):
        with pytest.raises(LastAdminError):
            access(tmp_path, "user", *arguments)
    with pytest.raises(UserError, match="sees every camera"):
        access(tmp_path, "user", "change", "anna", "--camera", "gate")
    with pytest.raises(UserError, match="nothing is to be changed"):
        access(tmp_path, "user", "change", "anna")

    access(tmp_path, "user", "change", "otto", "--role", "admin", "--enable")
    access(tmp_path, "user", "remove", "anna")
    assert running.principal(key["anna"]) is None
    told = [record.event.detail for record in records(tmp_path / "audit")][4:]
    assert told == [
        "user otto: role operator; cameras gate",
        "user otto: cameras all; disabled",
        "user otto: role admin; enabled",
        "user anna removed",
    ]
