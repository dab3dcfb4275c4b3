"""What a bundle is made from, as one digest: an unchanged digest means there is nothing to build."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from xjops.core import paths

# Made by builds or runs, not sources of one.
MADE = frozenset({"__pycache__", "node_modules", "var", "dist", "build", "vendor"})


@dataclass(frozen=True)
class Sources:
    """Where the parts come from."""

    packages: Path
    requirements: Path
    app: Path

    @classmethod
    def of_project(cls) -> Sources:
        """The checkout's own."""
        return cls(
            Path(__file__).with_name("packages.yml"),
            paths.project() / "requirements",
            paths.project() / "app",
        )

    @property
    def app_requirements(self) -> Path:
        """What the application needs, pinned with hashes."""
        return self.requirements / "app.txt"

    @property
    def control_requirements(self) -> Path:
        """What the control node needs; uv is taken from here."""
        return self.requirements / "control.txt"

    def digest(self, fingerprint: str) -> str:
        """SHA-256 over every source, this package's own code and the signing key."""
        digest = hashlib.sha256(fingerprint.encode())
        singles = [self.packages, self.app_requirements, self.control_requirements]
        for path in (*singles, *sorted(Path(__file__).parent.glob("*.py")), *_tree(self.app)):
            digest.update(f"\0{path.name}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()


def _tree(folder: Path) -> list[Path]:
    """Source files below `folder`, in a stable order."""
    found = []
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in MADE and not name.startswith("."))
        found += [Path(where) / name for name in sorted(names) if not name.endswith((".pyc", ".mo"))]
    return found
