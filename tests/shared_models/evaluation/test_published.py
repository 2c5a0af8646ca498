from __future__ import annotations

import pytest

from shared_models.evaluation.published import KODAK, PUBLISHED, VTM, published_curves
from shared_models.evaluation.rate_distortion import Curve


@pytest.mark.parametrize("curve", PUBLISHED, ids=lambda curve: curve.name)
def test_a_published_curve_rises_and_says_where_it_is_from(curve: Curve) -> None:
    rates = [point.figures.bits_per_pixel for point in curve.points]
    qualities = [point.figures.psnr_db for point in curve.points]
    assert rates == sorted(set(rates))
    assert qualities == sorted(set(qualities))
    assert len(rates) >= 6
    assert 0.04 < rates[0] < rates[-1] < 1.5
    assert 26.0 < qualities[0] < qualities[-1] < 41.0
    assert curve.series.kind == "published"
    assert curve.name.endswith("(published)")
    assert "as published" in curve.series.counts


def test_published_delta_rates_are_as_published() -> None:
    """TCM-L has -10.14 % against VTM 17 by its paper; VTM 9.1 and fewer points change that a little."""
    deltas = {curve.name.partition(" (")[0]: curve.bd_rate_against(VTM) for curve in PUBLISHED}
    assert deltas["TCM-L"] == pytest.approx(-10.14, abs=3.0)
    assert deltas["ELIC"] == pytest.approx(-5.95, abs=3.0)
    assert deltas["VTM 9.1, 4:4:4"] == pytest.approx(0.0)


def test_they_stand_beside_the_24_kodak_images_alone() -> None:
    assert published_curves(sorted(KODAK)) == PUBLISHED
    assert published_curves(sorted(KODAK)[:23]) == ()
    assert published_curves([*sorted(KODAK)[:23], "kodim01"]) == ()
    assert published_curves([*KODAK, "own"]) == ()
