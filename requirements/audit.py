"""Ask PyPI's advisories about every pinned package (`make audit`).

Exits with 1 when one is known to be vulnerable, with 2 when not all could be asked about.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOOLS = ROOT / ".venv" / "audit"
PINS = ("lock.txt", "assets.txt", "peers.txt")


def main() -> int:
    auditor = TOOLS / "bin" / "pip-audit"
    if not auditor.exists():
        venv.create(TOOLS, with_pip=True)
        install = (TOOLS / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps")
        subprocess.run([*install, "--requirement", ROOT / "requirements" / "audit.txt"], check=True)
    asked = [f"--requirement={ROOT / 'requirements' / name}" for name in PINS]
    told = subprocess.run(
        [auditor, "--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json", *asked],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        packages = json.loads(told.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"the advisories cannot be asked: {told.stderr.strip()}", file=sys.stderr)
        return 2
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    vulnerable = [package for package in packages if package.get("vulns")]
    for package in vulnerable:
        for flaw in package["vulns"]:
            mended = ", ".join(flaw["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {flaw['id']}, mended by {mended}")
    print(
        f"{len(packages) - len(unknown)} of {len(packages)} packages asked about, {len(vulnerable)} vulnerable"
    )
    if unknown:
        print(
            f"not asked about: {', '.join(unknown)}. Is https://pypi.org/pypi/NAME/VERSION/json within reach?",
            file=sys.stderr,
        )
    if vulnerable:
        return 1
    return 2 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
