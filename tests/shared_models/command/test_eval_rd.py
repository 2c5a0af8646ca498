from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from secondsight.command_line import app
from shared_models import Codec
from shared_models.evaluation import video_peers
from shared_models.evaluation.machine_plus_vvc import MachinePlusVvc
from shared_models.evaluation.peers import JPEG, WEBP
from shared_models.evaluation.published import KODAK, PUBLISHED, VTM
from shared_models.evaluation.speed import pink_noise


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("some photos")
    for seed, name in enumerate("abc"):
        Image.fromarray(pink_noise(48, 64, seed)).save(folder / f"{name}.png")
    return folder


def measured(tmp_path: Path, *arguments: object) -> dict[str, Any]:
    out = tmp_path / "rd.json"
    words = [str(word) for word in ("eval", "rd", *arguments, "--out", out)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    figures: dict[str, Any] = json.loads(out.read_text())
    return figures


def test_all_that_was_measured_is_in_the_file(photos: Path, codec: Codec, tmp_path: Path) -> None:
    figures = measured(
        tmp_path, photos, "--images", 2, "--only", "layers", "--only", "jpeg", "--only", "webp"
    )
    assert figures["model"] == codec.model_id.hex()
    assert figures["photos"] == 2
    names = [curve["name"] for curve in figures["curves"]]
    assert names[:4] == ["machine layer", "both layers", "enhancement alone", "both layers, by slices"]
    assert names[-2:] == [JPEG.name, WEBP.name]
    for curve in figures["curves"]:
        assert set(curve) == {"name", "kind", "counts", "points"}
        assert curve["kind"] == ("peer" if curve["name"] in (JPEG.name, WEBP.name) else "ours")
        for point in curve["points"]:
            assert set(point) == {"setting", "bits_per_pixel", "psnr_db", "ms_ssim_db"}
            assert point["ms_ssim_db"] is None
    assert set(figures["bd_rate_percent"]) == {JPEG.name, WEBP.name}
    assert set(figures["bd_rate_percent"][JPEG.name]) == {*names[:3], WEBP.name}
    assert [image["photo"] for image in figures["images"]] == ["a.png", "b.png"]
    for curve in figures["curves"]:
        first = curve["points"][0]
        own = [
            point["psnr_db"]
            for image in figures["images"]
            for point in image["curves"][curve["name"]]
            if point["setting"] == first["setting"]
        ]
        assert first["psnr_db"] == pytest.approx(sum(own) / 2)


def test_the_command_line_stands_in_the_file_without_this_machine_s_folders(
    photos: Path, tmp_path: Path
) -> None:
    figures = measured(tmp_path, photos, "--no-peers", "--images", 1, "--workers", 1)
    assert figures["command"] == (
        f"secondsight eval rd '{photos.name}' --no-peers --images 1 --workers 1 --out rd.json"
    )
    assert {curve["kind"] for curve in figures["curves"]} == {"ours"}
    assert figures["bd_rate_percent"] == {}


def test_vvc_plus_m_is_a_comparison(photos: Path, tmp_path: Path) -> None:
    figures = measured(tmp_path, photos, "--images", 1, "--only", "VVC+M")
    (curve,) = figures["curves"]
    assert (curve["name"], curve["kind"]) == (MachinePlusVvc.name, "comparison")
    assert len(curve["points"]) == len(MachinePlusVvc.ladder)


def test_published_curves_stand_beside_kodak(tmp_path: Path) -> None:
    folder = tmp_path / "kodak"
    folder.mkdir()
    for stem in KODAK:
        Image.fromarray(pink_noise(16, 16)).save(folder / f"{stem}.png")
    figures = measured(tmp_path, folder, "--only", "published")
    assert [curve["name"] for curve in figures["curves"]] == [curve.name for curve in PUBLISHED]
    assert {curve["kind"] for curve in figures["curves"]} == {"published"}
    assert set(figures["bd_rate_percent"]) == {VTM.name}
    assert measured(tmp_path, folder, "--only", "published", "--images", 23)["curves"] == []


def test_a_missing_ffmpeg_is_told_before_anything_is_coded(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "none"))
    video_peers._ffmpeg_path.cache_clear()
    try:
        result = CliRunner().invoke(app, ["eval", "rd", str(photos)])
    finally:
        video_peers._ffmpeg_path.cache_clear()
    assert result.exit_code == 1
    assert "unset IMAGEIO_FFMPEG_EXE" in " ".join(result.output.split())
    assert "coding" not in result.output


def test_a_codec_that_is_not_there_is_named_with_those_that_are(photos: Path) -> None:
    result = CliRunner().invoke(app, ["eval", "rd", str(photos), "--only", "h.264"])
    assert result.exit_code == 2
    assert "h.264" in result.output
    assert "JPEG" in result.output


def test_what_was_measured_earlier_is_taken_over_while_nothing_changed(photos: Path, tmp_path: Path) -> None:
    first = measured(tmp_path, photos, "--only", "webp")
    file = tmp_path / "earlier.json"
    marked = json.loads(json.dumps(first))
    for image in marked["images"]:
        for point in image["curves"][WEBP.name]:
            point["psnr_db"] = round(point["psnr_db"] + 1.0, 6)
    file.write_text(json.dumps(marked))
    again = measured(tmp_path, photos, "--only", "webp", "--only", "jpeg", "--earlier", file)
    assert again["images"][0]["curves"][WEBP.name] == marked["images"][0]["curves"][WEBP.name]
    assert JPEG.name in again["images"][0]["curves"]
    marked["identities"][WEBP.name] = "another release"
    file.write_text(json.dumps(marked))
    anew = measured(tmp_path, photos, "--only", "webp", "--earlier", file)
    assert anew["images"] == first["images"]
