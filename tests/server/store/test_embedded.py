"""The embedded store keeps what it acknowledged, has one owner, and ends with its parent."""

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from server.store import embedded
from server.store.config import StoreConfig
from server.store.embedded import EmbeddedStore
from server.store.errors import StoreBusyError, StoreStartError

PARENT = """
import sys, time
from pathlib import Path
from server.store.config import StoreConfig
from server.store.embedded import EmbeddedStore
store = EmbeddedStore(StoreConfig(data=Path(sys.argv[1]), port=0))
store.start()
print(store.pid, store.url, flush=True)
time.sleep(600)
"""


def client_of(store: EmbeddedStore) -> redis.Redis:
    return redis.Redis.from_url(store.url, retry=Retry(NoBackoff(), 0))


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition that will come true; the limit only ends a test that has failed."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def answers(store: EmbeddedStore) -> bool:
    with client_of(store) as client, contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
        return bool(client.ping())
    return False


def has_come_back(store: EmbeddedStore, restarts: int) -> bool:
    return store.restarts == restarts and answers(store)


def test_killed_while_writing_loses_nothing_acknowledged(valkey: EmbeddedStore) -> None:
    first_pid = valkey.pid
    acknowledged: list[bytes] = []

    def write() -> None:
        with client_of(valkey) as client, contextlib.suppress(redis.ConnectionError):
            for sequence in range(1, 1_000_000):
                acknowledged.append(
                    client.xadd("{gate}:frames", {"frame": os.urandom(4000)}, id=f"1-{sequence}")
                )

    writer = threading.Thread(target=write)
    writer.start()
    eventually(lambda: len(acknowledged) >= 200, "200 frames stored")
    os.kill(first_pid, signal.SIGKILL)
    writer.join()

    eventually(partial(has_come_back, valkey, 1), "the store is back")
    assert valkey.pid != first_pid
    with client_of(valkey) as client:
        stored = [entry for entry, _ in client.xrange("{gate}:frames")]
    assert stored[: len(acknowledged)] == acknowledged
    assert len(stored) <= len(acknowledged) + 1  # one may be stored whose acknowledgement died with the store


def test_restarts_on_the_same_address_again_and_again(valkey: EmbeddedStore) -> None:
    url = valkey.url
    for deaths in (1, 2, 3):
        os.kill(valkey.pid, signal.SIGKILL)
        eventually(partial(has_come_back, valkey, deaths), "the store is back")
    assert valkey.url == url


def test_data_outlives_a_stop(tmp_path: Path) -> None:
    config = StoreConfig(data=tmp_path, port=0)
    with EmbeddedStore(config) as store, client_of(store) as client:
        client.set("kept", b"\x00\xff")
    assert not is_running(store.pid)
    with EmbeddedStore(config) as store, client_of(store) as client:
        assert client.get("kept") == b"\x00\xff"


def test_a_second_owner_is_refused_and_the_first_goes_on(valkey: EmbeddedStore) -> None:
    second = EmbeddedStore(StoreConfig(data=valkey.config.data, port=0, lock_patience=0.1))
    with pytest.raises(StoreBusyError, match=f"process {os.getpid()}"):
        second.start()
    second.stop()
    assert answers(valkey)


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_ends_when_its_parent_is_killed_and_frees_the_folder(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        pid, url = parent.stdout.readline().split()
        with redis.Redis.from_url(url) as client:
            client.set("kept", "yes")
    finally:
        parent.kill()
        parent.communicate()
    eventually(lambda: not is_running(int(pid)), "the store ended with its parent")
    with EmbeddedStore(StoreConfig(data=tmp_path, port=0)) as store, client_of(store) as client:
        assert client.get("kept") == b"yes"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_folder_stays_locked_while_only_the_server_lives(tmp_path: Path) -> None:
    """The server itself holds the lock, so that its supervisor's end alone does not free the folder."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline().split()[0])
        descriptors = [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir()]
    finally:
        parent.kill()
        parent.communicate()
    assert tmp_path / "store.lock" in descriptors
    eventually(lambda: not is_running(pid), "the store ended with its parent")


def test_under_pressure_the_shortest_time_to_live_goes_first(tmp_path: Path) -> None:
    with (
        EmbeddedStore(StoreConfig(data=tmp_path, port=0, max_memory=16 * 1024**2)) as store,
        client_of(store) as client,
    ):
        client.set("{gate}:session", "7")
        for number in range(100):
            client.set(f"alert:{number}", os.urandom(20_000), ex=86_400)
        for number in range(1500):
            client.set(f"routine:{number}", os.urandom(20_000), ex=600)
        assert client.info("stats")["evicted_keys"] > 0
        assert client.get("{gate}:session") == b"7"
        assert all(client.exists(f"alert:{number}") for number in range(100))
        assert sum(client.exists(f"routine:{number}") for number in range(1500)) < 1500


def test_full_of_keys_that_must_stay_it_refuses_writes_and_keeps_them(tmp_path: Path) -> None:
    with (
        EmbeddedStore(StoreConfig(data=tmp_path, port=0, max_memory=8 * 1024**2)) as store,
        client_of(store) as client,
    ):
        written: list[str] = []

        def fill() -> None:
            for number in range(1000):
                client.set(f"stays:{number}", os.urandom(20_000))
                written.append(f"stays:{number}")

        with pytest.raises(redis.OutOfMemoryError):
            fill()
        assert len(written) > 100
        assert client.exists(*written) == len(written)


def test_a_unix_socket_is_open_to_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.sock"
    with (
        EmbeddedStore(StoreConfig(data=tmp_path / "store", unix_socket=path)) as store,
        client_of(store) as client,
    ):
        assert client.ping()
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert client.config_get("port") == {"port": "0"}


def test_a_taken_port_is_named_and_the_folder_freed(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        config = StoreConfig(data=tmp_path, port=other.getsockname()[1])
        with pytest.raises(StoreStartError, match=r"(?s)choose another \(server --store-port.*in use"):
            EmbeddedStore(config).start()
    with EmbeddedStore(config) as store:
        assert answers(store)


def test_another_store_on_the_port_is_not_taken_for_ours(tmp_path: Path, valkey: EmbeddedStore) -> None:
    port = int(valkey.url.rpartition(":")[2].partition("/")[0])
    with pytest.raises(StoreStartError, match="in use"):
        EmbeddedStore(StoreConfig(data=tmp_path / "other", port=port)).start()
    assert answers(valkey)


def test_a_free_port_that_somebody_took_meanwhile_is_passed_over(
    tmp_path: Path, valkey: EmbeddedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = [int(valkey.url.rpartition(":")[2].partition("/")[0])]
    free_port = embedded._free_port
    monkeypatch.setattr(embedded, "_free_port", lambda: taken.pop() if taken else free_port())
    with EmbeddedStore(StoreConfig(data=tmp_path / "other", port=0)) as store:
        assert not taken
        assert answers(store)
        assert store.url != valkey.url


def test_a_damaged_file_is_reported_with_the_servers_words(tmp_path: Path) -> None:
    config = StoreConfig(data=tmp_path, port=0)
    with EmbeddedStore(config) as store, client_of(store) as client:
        client.set("kept", "yes")
    manifest = tmp_path / "appendonlydir" / "appendonly.aof.manifest"
    manifest.write_text("not a manifest\n")
    with pytest.raises(StoreStartError, match=r"store\.log ends:"):
        EmbeddedStore(config).start()
