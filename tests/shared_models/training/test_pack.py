from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared_models.errors import PackError, TrainingDataError, WeightsError
from shared_models.training.loop import BEST
from shared_models.training.pack import packed
from shared_models.weights import shipped_weights
from tests.shared_models.training.conftest import annotated

# What a machine without a network cannot be expected to have: of these, training uses none.
ABSENT = ("constriction", "google_crc32c", "redis", "grpc", "bjontegaard", "cv2", "av")
START = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({ABSENT!r}))
sys.argv[0] = "train"
runpy.run_module("shared_models.command.train", run_name="__main__")
"""


def pack(
    folders: tuple[Path, Path], out: Path, limit_mib: float = 64.0, validation: Path | None = None
) -> str:
    return packed(*folders, out, validation=validation, weights=None, limit_mib=limit_mib, seed=1)


def test_a_pack_trains_on_its_own(folders: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "pack"
    assert "6 of 6 photos" in pack(folders, out, validation=folders[0])
    command = [
        "machine",
        "--photos",
        "photos",
        "--masks",
        "masks",
        "--out",
        "run",
        "--validation",
        "validation",
    ]
    small = ["--set", "crop=64", "--set", "batch=2", "--steps", "2"]
    ran = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.'){START}", *command, *small],
        cwd=out,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert (out / "run" / BEST).stat().st_size < 16 * 2**20
    mistaken = ["machine", "--photos", "nowhere", "--masks", "masks", "--out", "other"]
    refused = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.'){START}", *mistaken],
        cwd=out,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: nowhere holds no photo"), refused.stderr


def test_photos_are_left_out_until_the_rest_fits(folders: tuple[Path, Path], tmp_path: Path) -> None:
    photo = max(path.stat().st_size for path in folders[0].iterdir())
    whole = tmp_path / "whole"
    pack(folders, whole)
    size = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())
    limit = (size - 2 * photo) / 2**20 + 1.0
    small = tmp_path / "small"
    summary = pack(folders, small, limit)
    kept = {path.stem for path in (small / "photos").iterdir()}
    assert 0 < len(kept) < 6
    assert f"{len(kept)} of 6" in summary
    assert kept == {path.stem for path in (small / "masks").iterdir()}
    assert sum(path.stat().st_size for path in small.rglob("*") if path.is_file()) <= limit * 2**20


def test_what_cannot_be_packed_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(PackError, match="exists"):
        pack(folders, tmp_path)
    with pytest.raises(PackError, match="hold the code but no photo"):
        pack(folders, tmp_path / "tiny", limit_mib=1.0)
    next(folders[1].iterdir()).unlink()
    with pytest.raises(PackError, match="is missing"):
        pack(folders, tmp_path / "masks missing")


def test_photos_to_validate_on_are_looked_at_before_anything_is_packed(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "a.png").write_text("no photo")
    for validation, problem in ((tmp_path / "nothere", "holds no photo"), (broken, "cannot be read")):
        with pytest.raises(TrainingDataError, match=problem):
            pack(folders, tmp_path / "pack", validation=validation)
    assert not (tmp_path / "pack").exists()


def test_a_pack_with_annotations_trains_predicted_frames_on_its_own(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "pack"
    weights = shipped_weights("lite")
    kept = sorted(path.name for path in folders[0].iterdir())[:4]
    annotations = annotated(folders[0])
    for path in folders[0].iterdir():
        if path.name not in kept:
            path.unlink()
    packed(*folders, out, validation=None, weights=weights, annotations=annotations, limit_mib=64.0, seed=1)
    packed_annotations = json.loads((out / "instances.json").read_text())
    assert [image["file_name"] for image in packed_annotations["images"]] == kept
    assert len(packed_annotations["annotations"]) == len(kept)
    readme = (out / "README.md").read_text()
    (given,) = re.findall(r'^given="(.*)"$', readme, re.MULTILINE)
    (line,) = re.findall(r"^\$train (predicted-machine .*)$", readme, re.MULTILINE)
    command = line.replace("$given", given).split()
    small = ["--set", "crop=64", "--set", "batch=1", "--steps", "1"]
    ran = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.'){START}", *command, *small],
        cwd=out,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert (out / "runs" / "predicted-machine" / BEST).stat().st_size < 16 * 2**20


def test_annotations_that_cannot_be_packed_are_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    def pack_with(annotations: Path, weights: Path | None) -> None:
        out = tmp_path / "pack"
        packed(
            *folders, out, validation=None, weights=weights, annotations=annotations, limit_mib=64.0, seed=1
        )

    with pytest.raises(PackError, match="name their weights file"):
        pack_with(annotated(folders[0]), None)
    (tmp_path / "instances.json").write_text("[]")
    with pytest.raises(PackError, match="name a COCO instances file"):
        pack_with(tmp_path / "instances.json", shipped_weights("lite"))
    with pytest.raises(WeightsError, match="no weights file"):
        pack_with(annotated(folders[0]), next(folders[0].iterdir()))
    assert not (tmp_path / "pack").exists()


def test_half_a_pack_does_not_stand_in_the_way(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "pack"

    def full(source: Path, target: Path) -> None:
        raise OSError(f"no space left for {target}")

    with monkeypatch.context() as patched:
        patched.setattr("shutil.copyfile", full)
        with pytest.raises(OSError, match="no space left"):
            pack(folders, out)
    assert not out.exists()
    pack(folders, out)
    assert (out / "README.md").is_file()
