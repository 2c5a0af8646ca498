"""`secondsight encode` and `secondsight decode`, as they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from secondsight.command_line import app
from secondsight.exit_codes import ExitCode
from shared_models import FrameType, GroupEncoder, load_codec
from shared_models.evaluation.speed import pink_noise
from tests.shared_models.arithmetic import needs_bytes


def called(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    # What the product raises on purpose has become a message and an exit code.
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    # Wrong options are told in a box, wherever its lines end.
    return result.exit_code, " ".join(result.output.replace("│", " ").split())


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.fromarray(pink_noise(48, 64)).save(path)
    return path


def test_pictures_are_read_upright_and_of_16_bits(tmp_path: Path) -> None:
    grey = pink_noise(48, 64)[..., 0]
    Image.fromarray(grey).save(tmp_path / "plain.png")
    turned = Image.fromarray(grey.astype(np.uint16) * 257).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    for name in ("plain", "turned"):
        assert called("encode", tmp_path / f"{name}.png")[0] == 0
    for layer in ("machine", "enhancement"):
        plain, other = ((tmp_path / f"{name}.{layer}").read_bytes() for name in ("plain", "turned"))
        assert plain == other


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    code, told = called("encode", tmp_path / "a.png")
    assert (code, "a.png cannot be read" in told) == (1, True)
    code, told = called("eval", "rd", tmp_path, "--no-peers")
    assert (code, "a.png cannot be read" in told) == (1, True)


def test_layers_go_where_out_says(tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for out, stem in (("folder/", "folder/a"), (".", "a"), ("new/b", "new/b"), ("folder/c.d", "folder/c.d")):
        code, told = called("encode", picture, "--out", out)
        assert code == 0, told
        assert (tmp_path / f"{stem}.machine").is_file()
        assert (tmp_path / f"{stem}.enhancement").is_file()


@needs_bytes
def test_analyses_compute_in_eight_bits_where_that_is_wanted(tmp_path: Path, picture: Path) -> None:
    image = np.asarray(Image.open(picture))
    for switches, eight_bit in (((), False), (("--eight-bit",), True), (("--no-eight-bit",), False)):
        code, told = called("encode", picture, "--device", "cpu", *switches)
        assert code == 0, told
        expected = load_codec("lite", device="cpu", eight_bit=eight_bit).encode(image)
        assert (tmp_path / "a.machine").read_bytes() == expected.machine
        assert (tmp_path / "a.enhancement").read_bytes() == expected.enhancement
    assert expected != load_codec("lite", device="cpu", eight_bit=True).encode(image)


def test_encoding_spares_the_picture_and_what_is_in_its_way(tmp_path: Path, picture: Path) -> None:
    own = picture.rename(tmp_path / "a.machine")
    held = own.read_bytes()
    for words in ((), ("--out", tmp_path / "a"), ("--out", tmp_path)):
        code, told = called("encode", own, *words)
        assert (code, "the picture itself" in told) == (2, True)
        assert own.read_bytes() == held
    (tmp_path / "b.enhancement").mkdir()
    code, told = called("encode", own, "--out", tmp_path / "b")
    assert (code, "is a folder" in told) == (2, True)
    code, told = called("encode", own, "--out", own / "b")
    assert (code, "is a file" in told) == (2, True)
    assert {path.name for path in tmp_path.iterdir()} == {"a.machine", "b.enhancement"}


@pytest.mark.parametrize(
    ("out", "why"),
    [("x", "no suffix"), ("x.foo", "no .foo files"), ("x.psd", "no .psd files"), ("", "is a folder")],
)
def test_a_picture_that_cannot_be_written_is_told_before_decoding(tmp_path: Path, out: str, why: str) -> None:
    # The layer is missing: were it read first, that would be the error.
    code, told = called("decode", tmp_path / "missing.machine", tmp_path / out)
    assert code == 2
    assert why in told


def test_a_picture_is_written_into_a_new_folder(tmp_path: Path, picture: Path) -> None:
    assert called("encode", picture)[0] == 0
    assert called("decode", tmp_path / "a.machine", tmp_path / "new" / "x.WEBP")[0] == 0
    with Image.open(tmp_path / "new" / "x.WEBP") as written:
        assert (written.format, written.size) == ("WEBP", (64, 48))


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--quality", 4, "0 to 3"),
        ("--machine-quality", -1, "0 to 3"),
        ("--slices", 0, "1 to 5"),
        ("--slices", 6, "1 to 5"),
        ("--profile", "nope", "known: lite, paper"),
        ("--device", "tpu", "use auto, cpu or cuda"),
    ],
)
def test_options_that_cannot_be_have_an_exit_code_of_their_own(
    picture: Path, option: str, value: object, why: str
) -> None:
    code, told = called("encode", picture, option, value)
    assert code == ExitCode.USAGE
    assert why in told


def test_the_help_tells_ranges_and_defaults() -> None:
    _, told = called("encode", "--help")
    assert "human view, 0 = smallest to 3; 2 when left out" in told
    assert "machine layer, 0 = smallest to 3; 1 when left out" in told
    assert "slices, 1 to 5; all when left out" in told


def test_options_that_would_do_nothing_are_told(tmp_path: Path, picture: Path) -> None:
    assert called("encode", picture)[0] == 0
    machine, enhancement, out = tmp_path / "a.machine", tmp_path / "a.enhancement", tmp_path / "x.png"
    for words, needed in (
        (("--slices", 2), "name it by --enhancement"),
        (("--key-enhancement", enhancement), "name --enhancement and --key-machine"),
        (("--key-enhancement", enhancement, "--enhancement", enhancement), "--key-machine"),
        (("--key-enhancement", enhancement, "--key-machine", machine), "name --enhancement"),
    ):
        code, told = called("decode", machine, out, *words)
        assert (code, needed in told) == (2, True)
        assert not out.exists()
    code, told = called("decode", machine, out, "--key-machine", machine)
    assert (code, "needs no other frame: --key-machine is left aside" in told) == (0, True)
    assert out.is_file()


def test_a_predicted_frame_is_decoded_beside_its_key_frame(tmp_path: Path) -> None:
    codec = load_codec("lite", device="cpu")
    encoder = GroupEncoder(codec)
    scene = pink_noise(48, 64)
    key, later = (encoder.encode(scene, encoder.turn()) for _ in range(2))
    assert codec.inspect(later.machine).frame_type is FrameType.PREDICTED
    for name, frame in (("key", key), ("later", later)):
        (tmp_path / f"{name}.machine").write_bytes(frame.machine)
        (tmp_path / f"{name}.enhancement").write_bytes(frame.enhancement)
    keys = ("--key-machine", tmp_path / "key.machine", "--key-enhancement", tmp_path / "key.enhancement")
    own = ("--enhancement", tmp_path / "later.enhancement", "--device", "cpu")
    code, told = called("decode", tmp_path / "later.machine", tmp_path / "x.png", *own, *keys)
    assert code == 0, told
    assert "left aside" not in told
    reference = codec.reference(key.machine, key.enhancement)
    expected = codec.decode_human(later.machine, later.enhancement, reference=reference)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "x.png")), expected)
    code, told = called("decode", tmp_path / "later.machine", tmp_path / "x.png")
    assert (code, "decode the key frame" in told) == (1, True)
