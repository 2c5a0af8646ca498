"""The paper's tables for our models: parameters counted by hand, PSNR and bits put where they belong."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from shared_models import Codec
from shared_models.config import LITE
from shared_models.errors import ResultsError
from shared_models.evaluation.paper import differences, figure_6, figure_7, needed, sizes, table_1, table_2
from shared_models.evaluation.rate_distortion import Curve, Figures, Point, Series
from shared_models.profile import enhancement_layer
from shared_models.weights import SHIPPED, Weights


@pytest.fixture(scope="module")
def weights() -> Weights:
    return Weights.load(SHIPPED / "lite.safetensors")


def by_hand(m: int) -> tuple[int, int, int]:
    """Analysis, entropy model, synthesis of `lite` with m slices of 32 channels, added up from the widths."""

    def block(width: int) -> int:
        pointwise, depthwise = width * width + width, 9 * width + width
        wide = width * 2 * width + 2 * width + 2 * width * width + width
        return 2 * pointwise + depthwise + wide

    analysis = (3 * 64 * 128 + 128) + 4 * block(128) + (128 * 4 + 1) * 32 * m
    hyper_analysis = (32 * m * 128 + 128) + (512 * 128 + 128) + (512 * 48 + 48)
    hyper_decoder = (48 * 512 + 512) + (9 * 128 + 128) + (128 * 384 + 384) + (9 * 96 + 96)
    gains = 2 * 4 * 32 * m + 4 * 48
    slices = 0
    for k in range(m):
        seen = 96 + 160 + 32 * k
        slices += 2 * 4 * 32 + (seen * 64 + 64) + (9 * 64 + 64) + (64 * 32 + 32)
        slices += (seen * 96 + 96) + (9 * 96 + 96) + block(96) + (96 * 32 + 32)
    entropy = hyper_analysis + 2 * hyper_decoder + gains + slices
    synthesis = (160 * 640 + 640) + 6 * block(160) + (160 * 192 + 192)
    return analysis, entropy, synthesis


@pytest.mark.parametrize(
    ("m", "total"), [(1, 1_865_552), (2, 1_996_336), (3, 2_132_240), (4, 2_273_264), (5, 2_419_408)]
)
def test_parameters_are_those_counted_by_hand(m: int, total: int) -> None:
    counted = sizes(enhancement_layer(LITE), LITE, m)
    analysis, entropy, synthesis = by_hand(m)
    hyper_analysis = (32 * m * 128 + 128) + (512 * 128 + 128) + (512 * 48 + 48)
    assert counted.all == analysis + entropy + synthesis == total
    assert counted.edge == analysis + entropy
    assert counted.server == entropy - hyper_analysis + synthesis


def test_with_all_slices_nothing_is_left_out(weights: Weights) -> None:
    whole = sum(parameter.numel() for parameter in weights.enhancement.parameters())
    assert table_1(weights)["ours"]["parameters"][-1] == whole


@pytest.mark.parametrize("m", [1, 3])
def test_what_is_not_counted_is_not_needed(codec: Codec, picture: np.ndarray, m: int) -> None:
    spoilt = Weights.load(SHIPPED / "lite.safetensors")
    with torch.no_grad():
        kept = {name: part.clone() for name, part in needed(spoilt.enhancement, spoilt.config, m).items()}
        for parameter in spoilt.enhancement.parameters():
            parameter.fill_(37.0)
        for name, part in needed(spoilt.enhancement, spoilt.config, m).items():
            part.copy_(kept[name])
    other = Codec(spoilt, device="cpu")
    ours, theirs = codec.encode(picture, slices=m), other.encode(picture, slices=m)
    assert len(ours.enhancement) == len(theirs.enhancement)
    assert np.array_equal(
        codec.decode_human(ours.machine, ours.enhancement),
        other.decode_human(theirs.machine, theirs.enhancement),
    )


def curve(name: str, points: Iterator[tuple[str, float, float]] | list[tuple[str, float, float]]) -> Curve:
    kind = "peer" if name == "JPEG" else "ours"
    made = tuple(Point(setting, Figures(rate, quality, None)) for setting, rate, quality in points)
    return Curve(Series(name, kind, "bits"), made)  # type: ignore[arg-type]


@pytest.fixture
def curves() -> list[Curve]:
    cut = [
        curve(
            f"both layers, quality {quality}, by slices",
            [(f"{m} slices", 0.2 + 0.1 * m + quality, 30.0 + m + 10 * quality) for m in (5, 4, 3, 2, 1)],
        )
        for quality in range(4)
    ]
    levels = [(f"level {level}", 0.05 * (level + 1), 25.0) for level in range(4)]
    qualities = [(f"quality {quality}", 0.5, 30.0) for quality in range(4)]
    return [
        curve("machine layer", levels),
        curve("both layers", qualities),
        curve("enhancement alone", qualities),
        *cut,
        curve("JPEG", [("q 1", 0.3, 24.0)]),
    ]


def test_table_2_has_a_row_for_every_lambda_beside_the_paper_s(curves: list[Curve]) -> None:
    table = table_2(LITE, curves)
    assert table["m"] == [1, 2, 3, 4, 5]
    assert [row["lambda"] for row in table["rows"]] == [0.005, 0.01, 0.02, 0.03]
    assert table["rows"][2]["psnr_db"] == [51.0, 52.0, 53.0, 54.0, 55.0]
    assert table["rows"][0]["bits_per_pixel"] == pytest.approx([0.3, 0.4, 0.5, 0.6, 0.7])
    assert table["rows"][1]["paper_psnr_db"] == [29.95, 30.76, 31.03, 31.26, 31.22]
    assert table["rows"][3]["paper_psnr_db"] == [None, None, 33.28, 33.81, 33.93]


def test_figure_7_counts_the_enhancement_alone(curves: list[Curve]) -> None:
    lines = figure_7(LITE, curves)
    assert [line.name for line in lines] == ["m = 1", "m = 2", "m = 3", "m = 4", "m = 5"]
    first = lines[0].points[0]
    assert first.setting == "lambda 0.005"
    assert first.figures.bits_per_pixel == pytest.approx(0.3 - 0.1)
    assert first.figures.psnr_db == 31.0


def test_figure_6_has_the_paper_s_two_lines_first_and_all_others(curves: list[Curve]) -> None:
    assert [line.name for line in figure_6(curves)] == ["enhancement alone", "both layers", "JPEG"]


def test_a_curve_that_was_not_measured_is_named(curves: list[Curve]) -> None:
    with pytest.raises(ResultsError, match=r"quality 3, by slices.*without --only"):
        table_2(LITE, [one for one in curves if "quality 3" not in one.name])


def test_the_differences_come_from_the_weights(weights: Weights) -> None:
    told = {row["subject"]: row["ours"] for row in differences(weights, "2 photos of some folder")}
    assert told["photos measured"] == "2 photos of some folder"
    history = json.loads(json.dumps(weights.training))
    assert f"machine layer {history['machine']['steps']} steps" in told["length of training"]
    assert f"enhancement layer {history['enhancement']['steps']} steps" in told["length of training"]
    assert f"{history['machine']['recipe']['outside']:g} outside" in told["machine layer's loss"]
    conditioned = told["enhancement's entropy model"] == "conditioned on the machine layer"
    assert conditioned == weights.config.condition_on_machine
