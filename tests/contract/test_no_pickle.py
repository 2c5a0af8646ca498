"""Nothing that is read can run: no file and no message is unpickled anywhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = ("edge", "server", "shared_models", "proto/secondsight")
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def unsafe(source: str) -> Iterator[str]:
    """What could run what it reads, line by line."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found = {name.name.partition(".")[0] for name in names} & UNSAFE_MODULES
            case ast.ImportFrom(module=str(module)):
                found = {module.partition(".")[0]} & UNSAFE_MODULES
            case ast.Call(func=ast.Attribute(value=ast.Name(id=of), attr=called), keywords=keywords):
                given = {
                    keyword.arg: keyword.value.value
                    for keyword in keywords
                    if isinstance(keyword.value, ast.Constant)
                }
                dangerous = (
                    (of == "torch" and called == "load" and given.get("weights_only") is not True)
                    or (
                        of in ("np", "numpy")
                        and called == "load"
                        and given.get("allow_pickle", False) is not False
                    )
                    or (of == "yaml" and called in ("load", "load_all", "unsafe_load", "full_load"))
                )
                found = {f"{of}.{called}"} if dangerous else set()
            case _:
                continue
        for name in found:
            yield f"line {node.lineno}: {name}"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_unpickles(package: str) -> None:
    sources = list(Path(ROOT / package).rglob("*.py"))
    assert sources
    for path in sources:
        assert not list(unsafe(path.read_text())), path.relative_to(ROOT)


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.numpy_pickle",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
    ],
)
def test_what_unpickles_would_be_found(line: str) -> None:
    assert list(unsafe(line))


@pytest.mark.parametrize(
    "line", ["torch.load(path, weights_only=True)", "np.load(path)", "yaml.safe_load(text)"]
)
def test_what_does_not_is_let_be(line: str) -> None:
    assert not list(unsafe(line))
