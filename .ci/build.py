"""
Build wheel and sdist, then install each into an empty environment and use it there.

What is checked is the finished file, away from the source tree: a module, a data file or an
entry point that did not get into it fails here and not at a user's.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"

CLAIMS = """
import importlib.metadata as metadata
import pathlib, sys
import inngest_core, inngest_contrib
from inngest_core.version import VERSION

place = pathlib.Path(inngest_core.__file__)
assert pathlib.Path(sys.prefix) in place.parents, f"imported from {place}, not from the environment"
assert metadata.version("inngest-core") == VERSION, "metadata and VERSION differ"
for package in (inngest_core, inngest_contrib):
    typed = pathlib.Path(package.__path__[0]) / "py.typed"
    assert typed.exists(), f"{typed} is missing"
inngest_core.Inngest(app_id="check", is_production=False)
names = {e.name for e in metadata.entry_points(group="inngest.frameworks")}
adapters = {"digitalocean", "django", "fastapi", "flask", "tornado"}
assert adapters <= names, f"frameworks found: {sorted(names)}"
print("  imported", VERSION, "from", place.parent)
"""


def main() -> None:
    """Build both files and check both; the first that fails ends the program."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", str(DIST), str(ROOT))
    for file in sorted(DIST.iterdir()):
        check(file)
    print("built and checked:", *(file.name for file in sorted(DIST.iterdir())))


def check(file: Path) -> None:
    """Install `file` alone into an empty environment, import it there and run its command."""
    print(f"checking {file.name}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        programs = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin")
        run(str(programs / "python"), "-m", "pip", "install", "--quiet", str(file))
        run(str(programs / "python"), "-c", CLAIMS, cwd=folder)
        run(str(programs / "inngest-core"), "--help", cwd=folder, quiet=True)


def run(*command: str, cwd: str | Path = ROOT, quiet: bool = False) -> None:
    """Run a command and stop the whole program if it fails."""
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.DEVNULL if quiet else None)
    if done.returncode:
        sys.exit(f"failed with exit code {done.returncode}: {' '.join(command[:4])} ...")


if __name__ == "__main__":
    main()
