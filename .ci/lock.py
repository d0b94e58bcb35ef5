"""``python .ci/lock.py FILE [--extra-index-url URL]``: write what the image installs, each wheel with its hash.

For the Python and the machine that run this. `pip` chooses the wheels, within constraints.txt; nothing is installed. Further arguments
are its own: an index of builds of torch, as for the CPU.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
# What builds our own package, without the network.
_BUILDS = ["setuptools", "wheel"]


def main() -> None:
    """Write the file."""
    place, options = Path(sys.argv[1]), sys.argv[2:]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["s3"], *_BUILDS]
    choose = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    chosen = subprocess.run(
        [*choose, "--report", "-", *constraints, *options, *wanted], check=True, stdout=subprocess.PIPE
    )
    lines = []
    for one in json.loads(chosen.stdout)["install"]:
        meta, hashes = one["metadata"], one["download_info"]["archive_info"]["hashes"]
        lines.append(f"{meta['name'].lower()}=={meta['version']} --hash=sha256:{hashes['sha256']}")
    version = ".".join(map(str, sys.version_info[:2]))
    head = f"# Made by `make locks` with Python {version} on {sys.platform}; see docs/operators/containers.md.\n"
    place.write_text(head + "\n".join(sorted(lines)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
