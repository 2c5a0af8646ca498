"""What all tests share: a real store, and the folder of pictures that some need."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from server.store.config import StoreConfig
from server.store.embedded import EmbeddedStore

ROOT = Path(__file__).parent.parent

# How long an example takes, and how long one is looked for, is the machine's matter.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("patient"), max_examples=100)
settings.load_profile("patient")


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedStore]:
    """A store of its own for one test, on a free port of the loopback."""
    with EmbeddedStore(StoreConfig(data=tmp_path / "store", port=0)) as store:
        yield store


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of test pictures: kodak/, video/, train/ and others."""
    configured = os.environ.get("SECONDSIGHT_DATA")
    folder = Path(configured) if configured else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no test pictures in {folder}: set SECONDSIGHT_DATA to a folder with kodak/")
    return folder


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """For tests that run a command in this process: it sets up logging for good."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
