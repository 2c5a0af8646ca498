"""What the documents promise is there, and what they show can be read."""

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from edge.site_file import read_site
from secondsight.command_line import DeferredCommand, app
from server.relay.config import RelayConfig
from server.watch.rules import Rules
from tests.conftest import ROOT
from tests.documents.code_block import CodeBlock, Manner, UnknownBlockError, blocks_of

DOCUMENTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("shared_models/shipped/*.md")]
)


def test_there_are_documents() -> None:
    assert ROOT / "README.md" in DOCUMENTS


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere_and_nothing_is_left_to_fill_in(path: Path) -> None:
    text = path.read_text()
    assert "@@" not in text
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", text):
        if "://" in target:
            continue
        leads_to = path.parent / target if target else path
        assert leads_to.exists(), f"{path.name} links to {target}, which is not there"
        if anchor:
            assert anchor in anchors_of(leads_to), (
                f"{path.name} links to {target}#{anchor}, which is not there"
            )


def anchors_of(path: Path) -> set[str]:
    """Names of a document's headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_yaml(text: str, folder: Path) -> None:
    """A site's file, rules and a relay's file have to be good ones; any other YAML has to be YAML."""
    (document,) = yaml.safe_load_all(text)
    cameras = document.get("cameras", {})
    file = folder / "shown.yaml"
    file.write_text(text)
    if any("source" in camera for camera in cameras.values()):
        read_site(file)
    elif cameras:
        Rules.load(file)
    elif {"mqtt", "webhooks"} & document.keys():
        RelayConfig.load(file)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_says_how_it_is_run_and_can_be_read(path: Path, tmp_path: Path) -> None:
    for block in blocks_of(path):
        match block.language:
            case "python":
                ast.parse(block.code)
            case "yaml":
                check_yaml(block.code, tmp_path)
            case "toml":
                tomllib.loads(block.code)
            case "json":
                json.loads(block.code)


def test_a_block_of_no_known_kind_is_told(tmp_path: Path) -> None:
    document = tmp_path / "new.md"
    for info in ("sh sometimes", "python not run:", "fortran"):
        document.write_text(f"# New\n\n```{info}\nx\n```\n")
        with pytest.raises(UnknownBlockError, match=re.escape(f"new.md:3: ```{info}")):
            list(blocks_of(document))


def test_blocks_are_read_with_their_manner(tmp_path: Path) -> None:
    document = tmp_path / "new.md"
    document.write_text("```sh patient\nls\n```\n\n```sh not run: it is yours\nrm\n```\n")
    patient, shown = blocks_of(document)
    assert patient == CodeBlock(document, 1, "sh", Manner.PATIENT, "", "ls\n")
    assert (shown.manner, shown.why_not) == (Manner.SHOWN, "it is yours")


def commands_in(script: str) -> Iterator[list[str]]:
    """Words behind each `secondsight` of a script."""
    joined = re.sub(r"\\\n", " ", re.sub(r"(?m)(^|\s)#.*$", "", script))
    words = shlex.shlex(joined, posix=True, punctuation_chars="|&;<>()\n")
    words.whitespace, words.whitespace_split, words.commenters = " \t", True, ""
    found: list[str] | None = None
    for word in [*words, "\n"]:
        if word == "secondsight":
            found = []
        elif found is not None and re.fullmatch(r"[|&;<>()\n]+", word):
            yield found
            found = None
        elif found is not None:
            found.append(word)


def left_over(command: Any, words: list[str]) -> list[str]:
    """What a command, or the one of its commands that is meant, does not know."""
    if isinstance(command, DeferredCommand):
        command = command.load()
    context = command.make_context(command.name, [], resilient_parsing=True)
    _, rest, _ = command.make_parser(context).parse_args(words)
    further = command.get_command(context, rest[0]) if rest and hasattr(command, "get_command") else None
    return rest if further is None else left_over(further, rest[1:])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_are_called_as_they_can_be(path: Path) -> None:
    for block in blocks_of(path):
        if block.language == "sh":
            for words in commands_in(block.code):
                assert not left_over(get_command(app), words), f"line {block.line}: {words}"
