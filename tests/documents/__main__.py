"""Run every code block of the documents that does not say why it is only shown.

    python -m tests.documents [DOCUMENT ...]

Each document has a folder, a shell and a home of its own; what its blocks leave running ends with it. In the folder are
`clip.mp4` and `photos`; `RTSP_CAMERA`, `VIDEO`, `PHOTOS` and `ONNX_MODEL` stand for things of the reader's. Documents
run one after another, on the addresses that they name.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import ROOT
from tests.documents.code_block import CodeBlock, Manner, blocks_of
from tests.documents.reader import things_of_the_reader
from tests.documents.session import BlockFailedError, Session

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def main(arguments: list[str]) -> int:
    """Exit code 1 when a block failed."""
    chosen = [path for path in DOCUMENTS if not arguments or path.stem in arguments or path.name in arguments]
    if not chosen:
        print(f"no such document; there are {', '.join(path.stem for path in DOCUMENTS)}", file=sys.stderr)
        return 2
    failures: list[BlockFailedError] = []
    with things_of_the_reader() as things:
        for path in chosen:
            failures += run(path, things)
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr)
    return 1 if failures else 0


def run(path: Path, things: dict[str, str]) -> list[BlockFailedError]:
    """Run a document's blocks, up to the first that fails."""
    blocks = list(blocks_of(path))
    counts = Counter(block.manner for block in blocks if block.language in ("sh", "python"))
    began = time.monotonic()
    try:
        with _folder(things) as folder, Session(folder, things) as session:
            for block in blocks:
                _run(session, block)
    except BlockFailedError as error:
        print(f"{path.name}: FAILED at line {error.line}")
        return [error]
    shown = counts.pop(Manner.SHOWN, 0)
    took = time.monotonic() - began
    print(f"{path.name}: {counts.total()} blocks ran, {shown} are only shown, {took:.0f} s")
    return []


def _run(session: Session, block: CodeBlock) -> None:
    match block.language, block.manner:
        case (("sh" | "python"), Manner.SHOWN):
            pass
        case "sh", Manner.BACKGROUND:
            session.start(block)
        case "sh", _:
            session.shell(block)
        case "python", _:
            session.python(block)


@contextmanager
def _folder(things: dict[str, str]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="document-") as name:
        folder = Path(name)
        for shared in ("Makefile", "requirements", "pyproject.toml", "docs", "docker", "proto", ".venv"):
            (folder / shared).symlink_to(ROOT / shared)
        (folder / "clip.mp4").symlink_to(things["VIDEO"])
        (folder / "photos").symlink_to(things["PHOTOS"])
        yield folder


if __name__ == "__main__":
    os.environ.pop("SECONDSIGHT_DATA_FOLDER", None)
    sys.exit(main(sys.argv[1:]))
