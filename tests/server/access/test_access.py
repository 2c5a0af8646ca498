"""Who is let in, by what the access file says at the moment."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.access.access import Access
from server.access.access_file import AccessFile
from server.access.caller import LOOPBACK, CameraCaller, Permission, Principal, Role
from server.access.changes import new_user
from server.access.credential import Kind, issue
from server.access.register import CameraToken, Key, Register, User
from server.audit.record import Event, Subject
from server.config import ServerConfig
from server.errors import (
    AccessFileError,
    AuditUnavailableError,
    ForbiddenError,
    LoginFailedError,
    PasswordChangeRequiredError,
    ServerConfigError,
    TooManyRequestsError,
    WeakPasswordError,
)

ONE_TIME = "once-and-never-again"
OWN = "a password of my own"


@pytest.fixture
def file(tmp_path: Path) -> AccessFile:
    return AccessFile(tmp_path / "access.json")


def opened(file: AccessFile, **settings: object) -> Access:
    return Access(ServerConfig(access_file=file.path, **settings))  # type: ignore[arg-type]


def with_key(file: AccessFile, name: str, role: Role, cameras: tuple[str, ...] | None = None) -> str:
    """Add a user with an API key, and give that."""
    key = issue(Kind.USER_KEY)
    user = User(role=role, cameras=cameras, sessions_since=datetime.now(UTC))
    file.change(
        lambda register: register.with_user(name, user).with_key(
            name, key.prefix, Key(hash=key.hash, issued_at=datetime.now(UTC))
        )
    )
    return key.text


def with_token(file: AccessFile, camera_id: str) -> str:
    """Add a token of a camera, and give that."""
    token = issue(Kind.CAMERA_TOKEN)
    kept = CameraToken(camera_id=camera_id, hash=token.hash, issued_at=datetime.now(UTC))
    file.change(lambda register: register.with_camera_token(token.prefix, kept))
    return token.text


def test_nobody_is_asked_on_the_loopback_alone(tmp_path: Path) -> None:
    assert Access(ServerConfig(data=tmp_path)).open
    assert Access(ServerConfig(data=tmp_path, grpc="localhost:0", http="[::1]:0")).open
    for closed in (
        {"access_file": tmp_path / "access.json"},
        {"http": "0.0.0.0:0", "insecure_transport": True},
        {"grpc": "camera-server.example:50051", "insecure_transport": True},
    ):
        access = Access(ServerConfig(data=tmp_path, **closed))  # type: ignore[arg-type]
        assert not access.open
        assert access.renewed(LOOPBACK) is None


@pytest.mark.parametrize("address", ["0.0.0.0:0", "192.168.1.7:80", "[::]:0", "server.example:80"])
def test_beyond_the_loopback_the_transport_has_to_be_secure(address: str) -> None:
    for name in ("http", "grpc"):
        with pytest.raises(ServerConfigError, match="--insecure-transport"):
            ServerConfig(**{name: address})  # type: ignore[arg-type]
        ServerConfig(**{name: address}, insecure_transport=True)  # type: ignore[arg-type]


def test_a_key_lets_its_user_in_with_role_and_cameras(file: AccessFile) -> None:
    key = with_key(file, "anna", Role.VIEWER, ("gate",))
    principal = opened(file).principal(key)
    assert principal is not None
    assert (principal.name, principal.role, principal.via) == ("anna", Role.VIEWER, key[:12])
    assert principal.sees("gate")
    assert not principal.sees("yard")
    principal.check(Permission.LOOK)
    with pytest.raises(ForbiddenError, match="operator"):
        principal.check(Permission.HUMAN_VIEW)


def test_no_other_key_and_no_camera_token_lets_a_user_in(file: AccessFile) -> None:
    key, token = with_key(file, "anna", Role.ADMIN), with_token(file, "gate")
    access = opened(file)
    for wrong in (
        "",
        "x",
        token,
        key[:-1],
        key + "A",
        key[:13] + "A" * 43,
        key.replace("ssu", "ssc"),
        "ssu_" + "é" * 52,
    ):
        assert access.principal(wrong) is None
    for wrong in ("", key, token[:-1], token[:13] + "A" * 43):
        assert access.camera(wrong) is None
    assert access.camera(token) == CameraCaller("gate", token[:12])


def test_what_is_revoked_ends_in_a_running_server(file: AccessFile) -> None:
    key, token = with_key(file, "anna", Role.OPERATOR), with_token(file, "gate")
    access = opened(file)
    principal, camera = access.principal(key), access.camera(token)
    assert principal is not None and camera is not None
    assert access.renewed(principal) == principal
    assert access.renewed(camera) == camera

    file.change(lambda register: register.without_camera_tokens("gate"))
    assert access.camera(token) is None
    assert access.renewed(camera) is None
    assert access.renewed(principal) == principal

    file.change(
        lambda register: register.with_user(
            "anna", register.user("anna").model_copy(update={"role": Role.VIEWER})
        )
    )
    demoted = access.renewed(principal)
    assert isinstance(demoted, Principal) and demoted.role is Role.VIEWER

    file.change(lambda register: register.without_user("anna"))
    assert access.principal(key) is None
    assert access.renewed(principal) is None


def test_a_file_that_vanishes_or_is_damaged_changes_nothing_while_the_server_runs(
    file: AccessFile, caplog: pytest.LogCaptureFixture
) -> None:
    key = with_key(file, "anna", Role.OPERATOR)
    access = opened(file)
    kept = file.path.read_bytes()
    file.path.unlink()
    assert access.principal(key) is not None
    assert "vanished" in caplog.text
    file.path.write_bytes(b'{"users": {"anna": {"role": "king"}}}')
    file.path.chmod(0o600)
    assert access.principal(key) is not None
    assert "damaged" in caplog.text
    with pytest.raises(AccessFileError, match="damaged"):
        opened(file)
    file.path.write_bytes(kept)
    assert opened(file).principal(key) is not None


def test_a_file_that_others_can_open_is_refused(file: AccessFile) -> None:
    with_key(file, "anna", Role.OPERATOR)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    file.path.chmod(0o640)
    with pytest.raises(AccessFileError, match="chmod 600"):
        opened(file)


def test_no_secret_is_in_the_file(file: AccessFile) -> None:
    key, token = with_key(file, "anna", Role.OPERATOR), with_token(file, "gate")
    file.change(lambda register: register.with_user("bert", new_user(Role.VIEWER, None, ONE_TIME)))
    text = file.path.read_text()
    for secret in (key[13:], token[13:], ONE_TIME):
        assert secret not in text
    assert "$argon2id$" in text


async def test_the_first_admin_has_a_one_time_password_that_has_to_be_exchanged(file: AccessFile) -> None:
    access = opened(file)
    recorded: list[Event] = []
    first = access.first_admin(recorded.append)
    assert first is not None
    assert access.first_admin(recorded.append) is None
    (event,) = recorded
    assert (event.subject, event.via, event.detail) == (
        Subject.ACCESS,
        "start",
        "user admin added as admin, cameras all",
    )
    with pytest.raises(PasswordChangeRequiredError):
        await access.log_in(first.name, first.password, None, "10.0.0.1")
    with pytest.raises(WeakPasswordError, match="12 to 200"):
        await access.log_in(first.name, first.password, "short", "10.0.0.1")
    with pytest.raises(WeakPasswordError, match="choose another"):
        await access.log_in(first.name, first.password, first.password, "10.0.0.1")
    token = await access.log_in(first.name, first.password, OWN, "10.0.0.1")
    principal = access.in_session(token)
    assert principal is not None
    assert (principal.name, principal.role, principal.via) == ("admin", Role.ADMIN, "session")
    with pytest.raises(LoginFailedError):
        await access.log_in(first.name, first.password, OWN, "10.0.0.1")
    assert access.in_session(await access.log_in(first.name, OWN, None, "10.0.0.1")) is not None


def test_without_a_record_there_is_no_first_admin(file: AccessFile) -> None:
    def unwritable(_: Event) -> None:
        raise AuditUnavailableError

    with pytest.raises(AuditUnavailableError):
        opened(file).first_admin(unwritable)
    assert not file.path.exists() or not file.read().users
    assert opened(file).first_admin([].append) is not None


async def test_wrong_names_wrong_passwords_and_old_one_time_passwords_are_told_alike(
    file: AccessFile,
) -> None:
    late = new_user(Role.VIEWER, None, ONE_TIME).model_copy(
        update={"one_time_until": datetime.now(UTC) - timedelta(seconds=1)}
    )
    file.change(
        lambda register: register.with_user("late", late).with_user(
            "anna", new_user(Role.VIEWER, None, ONE_TIME)
        )
    )
    access = opened(file)
    for name, password in (("late", ONE_TIME), ("anna", "something else"), ("nobody", ONE_TIME)):
        with pytest.raises(LoginFailedError):
            await access.log_in(name, password, OWN, "10.0.0.1")


async def test_sessions_end_with_logout_a_new_password_and_their_user(file: AccessFile) -> None:
    def add(register: Register) -> Register:
        user = new_user(Role.OPERATOR, None, ONE_TIME).model_copy(update={"one_time_until": None})
        return register.with_user("anna", user)

    file.change(add)
    access = opened(file)

    async def session() -> Principal:
        principal = access.in_session(await access.log_in("anna", ONE_TIME, None, "10.0.0.1"))
        assert principal is not None
        return principal

    principal = await session()
    access.log_out(principal)
    assert access.renewed(principal) is None
    principal = await session()
    file.change(add)
    assert access.renewed(principal) is None
    principal = await session()
    assert access.renewed(principal) == principal
    file.change(lambda register: register.without_user("anna"))
    assert access.renewed(principal) is None


async def test_logins_are_limited_by_address(file: AccessFile) -> None:
    access = opened(file, logins_per_minute=2)
    for _ in range(2):
        with pytest.raises(LoginFailedError):
            await access.log_in("anna", OWN, None, "10.0.0.1")
    with pytest.raises(TooManyRequestsError, match="logins"):
        await access.log_in("anna", OWN, None, "10.0.0.1")
    with pytest.raises(LoginFailedError):
        await access.log_in("anna", OWN, None, "10.0.0.2")
