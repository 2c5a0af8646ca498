"""From pictures to rd.json, paper.json and the report: what stands in the page is what stands in the files."""

from __future__ import annotations

import base64
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from secondsight.command_line import app
from shared_models import Codec
from shared_models.evaluation.speed import pink_noise


def secondsight(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


class Page(HTMLParser):
    """Tables as rows of texts, pictures by their alternative text, and every attribute that could load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.pictures: dict[str, str] = {}
        self.loads: list[str] = []
        self.headers_without_scope = 0
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.loads += [given[name] for name in ("src", "href", "srcset", "data") if name in given]
        if tag in ("script", "link", "iframe"):
            self.loads.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._cell = True
            self.headers_without_scope += tag == "th" and "scope" not in given
        elif tag == "img":
            self.pictures[given["alt"]] = given["src"]

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.tables[-1][-1][-1] += data

    def table(self, *header: str) -> list[list[str]]:
        """Rows of the table whose header begins so."""
        (found,) = [table for table in self.tables if table[0][: len(header)] == list(header)]
        return found[1:]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for seed, name in enumerate("ab"):
        Image.fromarray(pink_noise(176, 192, seed)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def measured(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `eval rd` and `eval paper` wrote."""
    folder = tmp_path_factory.mktemp("results")
    codecs = [word for name in ("layers", "jpeg", "webp") for word in ("--only", name)]
    secondsight("eval", "rd", photos, *codecs, "--out", folder / "rd.json")
    secondsight("eval", "paper", photos, "--rd", folder / "rd.json", "--out", folder / "paper.json")
    return folder


@pytest.fixture
def results(measured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(measured, tmp_path / "results"))


def held(folder: Path, name: str) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((folder / name).read_text())
    return figures


def change(folder: Path, name: str, **values: object) -> None:
    (folder / name).write_text(json.dumps(held(folder, name) | values))


def test_the_paper_s_figures_are_those_of_rd_json(results: Path, codec: Codec) -> None:
    rd, paper = held(results, "rd.json"), held(results, "paper.json")
    assert paper["model"] == rd["model"] == codec.model_id.hex()
    assert paper["photos"] == 2
    by_name = {curve["name"]: curve["points"] for curve in rd["curves"]}
    for quality, row in enumerate(paper["table_2"]["rows"]):
        points = by_name[f"both layers, quality {quality}, by slices"]
        assert row["psnr_db"] == [point["psnr_db"] for point in sorted(points, key=lambda p: p["setting"])]
    assert paper["figure_6"][0]["points"] == by_name["enhancement alone"]
    assert [curve["name"] for curve in paper["figure_6"]][2:] == list(by_name)[-2:]


def test_without_rd_json_the_same_is_measured_anew(photos: Path, results: Path, tmp_path: Path) -> None:
    secondsight("eval", "paper", photos, "--out", tmp_path / "new" / "paper.json")
    anew, before = held(tmp_path / "new", "paper.json"), held(results, "paper.json")
    assert anew["table_2"] == before["table_2"]
    for ours, theirs in zip(anew["figure_7"], before["figure_7"], strict=True):
        rates = [[point["bits_per_pixel"] for point in curve["points"]] for curve in (ours, theirs)]
        assert rates[0] == pytest.approx(rates[1], abs=2e-6)
    assert anew["command"] == f"secondsight eval paper {photos.name} --out paper.json"


def test_figures_of_another_model_or_of_other_photos_are_refused(photos: Path, results: Path) -> None:
    rd, out = results / "rd.json", results / "other.json"
    fewer = secondsight("eval", "paper", photos, "--rd", rd, "--images", 1, "--out", out, code=1)
    assert "measured on 2 photos" in fewer
    change(results, "rd.json", model="00" * 8)
    told = secondsight("eval", "paper", photos, "--rd", rd, "--out", out, code=1)
    assert "different models" in told
    assert "00" * 8 in told
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "told"), [("{", "cannot be read"), ("{}", "holds no model"), (None, "is missing")]
)
def test_a_damaged_rd_json_is_named_with_its_remedy(
    photos: Path, tmp_path: Path, content: str | None, told: str
) -> None:
    if content is not None:
        (tmp_path / "rd.json").write_text(content)
    output = secondsight(
        "eval", "paper", photos, "--rd", tmp_path / "rd.json", "--out", tmp_path / "p.json", code=1
    )
    assert told in output
    assert "secondsight eval rd" in output


def test_numbers_in_the_page_are_those_in_the_files(results: Path) -> None:
    secondsight("eval", "report", "--results", results)
    page = Page((results / "report.html").read_text())
    rd, paper = held(results, "rd.json"), held(results, "paper.json")
    main = [curve for curve in rd["curves"] if curve["name"] in ("machine layer", "both layers")]
    rows = page.table("curve", "setting")
    for curve in main:
        for point in curve["points"]:
            assert [
                curve["name"],
                point["setting"],
                f"{point['bits_per_pixel']:.3f}",
                f"{point['psnr_db']:.2f}",
                f"{point['ms_ssim_db']:.2f}",
            ] in rows
    jpeg, webp = rd["bd_rate_percent"]
    deltas = {row[0]: row[1:] for row in page.table("curve", "JPEG", "WebP")}
    for name in ("machine layer", "both layers", "enhancement alone"):
        expected = [rd["bd_rate_percent"][anchor][name] for anchor in (jpeg, webp)]
        assert deltas[name] == ["–" if value is None else f"{value:+.1f}" for value in expected]
    found = {row[0]: row[2] for row in page.table("goal", "verdict")}
    against = rd["bd_rate_percent"][jpeg]["both layers"]
    told = next(text for goal, text in found.items() if "against JPEG" in goal)
    assert told == ("not measured" if against is None else f"{against:+.1f} %")
    table_1 = {row[0]: row[1:] for row in page.table("m", "1")}
    assert table_1["million, ours"] == [
        f"{count / 1e6:.3f}" for count in paper["table_1"]["ours"]["parameters"]
    ]
    assert table_1["million, paper"] == ["45.9", "51.7", "58.7", "67.0", "76.6"]
    table_2 = {row[0]: row[1:] for row in page.table("λ", "m = 1")}
    row = paper["table_2"]["rows"][1]
    assert [cell.split(" ")[0] for cell in table_2["0.01, ours"]] == [f"{db:.2f}" for db in row["psnr_db"]]
    assert table_2["0.005, paper"] == ["–", "–", "29.83", "29.76", "29.79"]
    commands = [row[1] for row in page.table("what", "command")]
    assert rd["command"] in commands
    assert paper["command"] in commands


def test_the_page_needs_nothing_else_and_can_be_read_aloud(results: Path, photos: Path) -> None:
    secondsight("eval", "report", "--results", results, "--photos", photos, "--sheets", 1)
    text = (results / "report.html").read_text()
    page = Page(text)
    assert page.loads
    assert all(source.startswith("data:image/") for source in page.loads)
    assert not re.search(r"@import|url\(", text)
    assert '<html lang="en">' in text
    assert page.headers_without_scope == 0
    assert all(page.pictures)
    assert any("human view, m = 5" in alt for alt in page.pictures)
    markdown = (results / "report.md").read_text()
    named = re.findall(r"\]\((report/[^)]+)\)", markdown)
    inside = [base64.b64decode(source.partition(",")[2]) for source in page.pictures.values()]
    assert [(results / name).read_bytes() for name in named] == inside
    assert {path.name for path in (results / "report").iterdir()} == {Path(name).name for name in named}


def test_pictures_of_an_earlier_report_do_not_stay(results: Path, photos: Path) -> None:
    secondsight("eval", "report", "--results", results, "--photos", photos, "--sheets", 2)
    assert (results / "report" / "a.webp").exists()
    secondsight("eval", "report", "--results", results)
    assert not (results / "report" / "a.webp").exists()
    assert "`secondsight eval report --photos FOLDER` adds them" in (results / "report.md").read_text()


def test_what_is_missing_is_named_with_its_command(results: Path) -> None:
    (results / "paper.json").unlink()
    secondsight("eval", "report", "--results", results)
    page = Page((results / "report.html").read_text())
    told = {row[0]: row[1] for row in page.table("what", "command")}
    assert told["recognition"] == "not measured: make eval-recognition makes it"
    assert "secondsight eval paper" in told["the paper's experiments"]
    verdicts = {row[0]: row[1].replace("\xa0", " ") for row in page.table("goal", "verdict")}
    assert (
        verdicts["machine layer: AP above JPEG at equal bits, 0.1 to 0.25 bit/pixel, 2 detectors"]
        == "not measured"
    )


def test_recognition_ablation_and_speed_stand_in_the_report(results: Path) -> None:
    secondsight(
        *("bench", "codec", "--width", 64, "--height", 48, "--repeats", 1, "--out", results / "bench.json")
    )
    estimate = {"value": 0.2, "low": 0.1, "high": 0.3}

    def curve(name: str, kind: str) -> dict[str, Any]:
        points = [
            {"setting": f"s{n}", "bits_per_pixel": 0.1 * n, "ap": estimate, "ap50": estimate}
            | {"share_of_original": {"value": 0.456, "low": 0.4, "high": 0.5}}
            for n in (1, 2)
        ]
        return {"name": name, "kind": kind, "points": points}

    difference = {"value": 0.0123, "low": -0.01, "high": 0.03}
    detector = {
        "original": {"ap": estimate, "ap50": estimate},
        "curves": [curve("machine layer", "ours"), curve("JPEG | <b>*", "peer")],
        "machine_layer_against_peers": [
            {"setting": "s1", "bits_per_pixel": 0.1, "peer": "JPEG | <b>*", "difference": difference}
            | {"verdict": "above, not surely"}
        ],
        "machine_layer_share_of_original": [],
    }
    recognition = {"command": "secondsight eval recognition", "model": held(results, "rd.json")["model"]}
    recognition |= {"photos": 7, "coverage": 0.95, "detectors": {"ssd": detector}}
    (results / "recognition.json").write_text(json.dumps(recognition))
    variants = [
        {"name": "base", "task": "enhancement", "change": "none", "against": None}
        | {"bd_rate_percent": None, "bd_psnr_db": None, "loss": 1.25},
        {
            "name": "free",
            "task": "enhancement",
            "change": "own latents",
            "against": "base",
            "bd_rate_percent": 4.25,
            "bd_psnr_db": -0.25,
            "loss": 1.3,
        },
    ]
    ablation = {"command": "secondsight train ablation", "model": "of another run", "steps": 600}
    (results / "ablation.json").write_text(json.dumps(ablation | {"variants": variants}))
    secondsight("eval", "report", "--results", results)
    page = Page((results / "report.html").read_text())
    points = page.table("view", "setting")
    assert points[0][:3] == ["machine layer", "s1", "0.100"]
    assert points[0][-1] == "0.456 (0.400 to 0.500)"
    assert page.table("at the same bits as") == [
        ["JPEG | <b>*", "s1", "0.100", "+0.012 (-0.010 to +0.030)", "above, not surely"]
    ]
    assert page.table("variant") == [
        ["base", "enhancement", "none", "–", "–", "–", "1.2500"],
        ["free", "enhancement", "own latents", "base", "+4.2", "-0.25", "1.3000"],
    ]
    bench = held(results, "bench.json")
    timing = bench["operations"][0]["timing"]
    row = page.table("what", "kMAC/pixel")[0]
    assert (row[0], row[2]) == (timing["name"], f"{timing['median_ms']:.1f}")
    stages = page.table("stage", "within")
    assert [
        "machine analysis",
        timing["name"],
        f"{bench['operations'][0]['stages']['machine analysis']:.1f}",
    ] in stages
    assert len(page.table("another codec")) == len(bench["peers"]) == 6
    assert any(alt.startswith("ssd: AP over") for alt in page.pictures)


def test_figures_of_different_models_make_no_report(results: Path, photos: Path) -> None:
    change(results, "paper.json", model="11" * 8)
    told = secondsight("eval", "report", "--results", results, code=1)
    assert "different models" in told
    assert "paper.json" in told
    (results / "paper.json").unlink()
    change(results, "rd.json", model="11" * 8)
    assert "the weights" in secondsight("eval", "report", "--results", results, "--photos", photos, code=1)
    assert not (results / "report.html").exists()


def test_a_folder_without_results_makes_no_report(tmp_path: Path) -> None:
    assert "secondsight eval rd" in secondsight("eval", "report", "--results", tmp_path, code=1)
