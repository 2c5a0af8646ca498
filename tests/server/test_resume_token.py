"""The word that a stream goes on by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondsight import store_keys
from server.resume_token import LONGEST, InvalidResumeTokenError, ResumeToken, positions_in

CAMERAS = st.from_regex(f"^{store_keys.CAMERA_ID_PATTERN}$", fullmatch=True)
NUMBERS = st.integers(0, 2**64 - 1)
POSITIONS = st.dictionaries(CAMERAS, st.builds(store_keys.entry_id, NUMBERS, NUMBERS), max_size=5)


@given(POSITIONS, POSITIONS)
def test_what_was_put_in_is_what_comes_out(at_first: dict[str, str], later: dict[str, str]) -> None:
    token = ResumeToken("recognise", at_first)
    for camera_id, position in later.items():
        token.move(camera_id, position)
    everything = at_first | later
    assert positions_in(str(token), "recognise", [*everything, "no-such-camera-of-all"]) == everything
    assert positions_in(str(token), "recognise", []) == {}


@given(POSITIONS)
def test_a_token_is_of_its_task(positions: dict[str, str]) -> None:
    with pytest.raises(InvalidResumeTokenError):
        positions_in(str(ResumeToken("recognise", positions)), "count", positions)


@given(st.text(max_size=40), st.binary(max_size=40))
def test_no_text_is_more_than_refused(text: str, tail: bytes) -> None:
    whole = str(ResumeToken("recognise", {"gate": "3-700"}))
    for token in (text, whole + text, whole[: len(tail)]):
        try:
            found = positions_in(token, "recognise", ["gate"])
        except InvalidResumeTokenError:
            continue
        assert set(found) <= {"gate"}
        assert all(store_keys.parse_entry_id(position) for position in found.values())


def test_a_token_cut_off_anywhere_is_refused_or_knows_less() -> None:
    positions = {"gate": "3-700", "yard": "1-70000"}
    whole = str(ResumeToken("recognise", positions))
    assert positions_in(whole, "recognise", positions) == positions
    for length in range(len(whole)):
        try:
            found = positions_in(whole[:length], "recognise", positions)
        except InvalidResumeTokenError:
            continue
        assert found.items() < positions.items()


def test_two_hundred_cameras_fit() -> None:
    positions = {f"camera-{number}": f"{number + 100}-2000000" for number in range(200)}
    assert len(str(ResumeToken("recognise", positions))) < LONGEST
