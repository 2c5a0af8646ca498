"""Networks that no Python package brings: `make detectors` puts them where recognisers look for them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from server.errors import RecogniserNotInstalledError

FOLDER_VARIABLE: Final = "SECONDSIGHT_DETECTORS"


def network_folder() -> Path:
    """Where `make detectors` puts networks: the folder that SECONDSIGHT_DETECTORS names, else the environment's own."""
    return Path(os.environ.get(FOLDER_VARIABLE) or Path(sys.prefix, "share", "secondsight"))


def network(file: str) -> Path:
    """A network that was fetched.

    Raises:
        RecogniserNotInstalledError: it was not.
    """
    path = network_folder() / file
    if not path.is_file():
        raise RecogniserNotInstalledError(
            f"the network {file} is not in {path.parent}; fetch it with: make detectors "
            f"(or name the folder that holds it in {FOLDER_VARIABLE})"
        )
    return path
