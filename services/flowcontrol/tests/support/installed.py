"""Make an environment that has a wheel, and of this checkout's environment all but the checkout itself."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path


def install(wheel: Path, environment: Path) -> Path:
    """Make the environment, and return its Python, which finds what else is installed here, but no editable package.

    Python reads no `.pth` file of a folder that a `.pth` file names, and by such files editable packages are found.
    """
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    folder = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    ).strip()
    Path(folder, "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-index", "--no-deps", str(wheel)], check=True)
    return python


if __name__ == "__main__":
    install(Path(sys.argv[1]), Path(sys.argv[2]))
