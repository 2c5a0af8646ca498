"""Generate the Python code of the contract: `make proto`, or with another folder to compare.

Every proto/secondsight/v1/NAME.proto becomes NAME_pb2.py and NAME_pb2.pyi, and those with services also
NAME_pb2_grpc.py and its .pyi. The compiler is the pinned grpcio-tools, so the result is the same everywhere.
"""

import argparse
import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

PROTO = Path(__file__).parent


def generate(out: Path) -> None:
    """Write the generated modules of all .proto files below `out`, and drop those whose .proto is gone.

    Raises:
        SystemExit: the compiler refused a file; it has said why on stderr.
    """
    sources = sorted(PROTO.glob("secondsight/v1/*.proto"))
    with_services = [path for path in sources if "\nservice " in path.read_text()]
    package = out / "secondsight" / "v1"
    for stale in package.glob("*_pb2*.py*"):
        stale.unlink()
    compile_protos(sources, f"--python_out={out}", f"--pyi_out={out}")
    compile_protos(with_services, f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}")


def compile_protos(sources: list[Path], *outputs: str) -> None:
    """Run protoc once.

    Raises:
        SystemExit: see `generate`.
    """
    plugin = Path(sys.executable).with_name("protoc-gen-mypy_grpc")
    status = protoc.main(
        [
            "protoc",
            f"--plugin=protoc-gen-mypy_grpc={plugin}",
            f"--proto_path={PROTO}",
            f"--proto_path={files('grpc_tools') / '_proto'}",
            *outputs,
            *(str(path.relative_to(PROTO)) for path in sources),
        ]
    )
    if status != 0:
        raise SystemExit(status)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=PROTO, help="folder to write below (default: proto/)")
    generate(parser.parse_args().out)
