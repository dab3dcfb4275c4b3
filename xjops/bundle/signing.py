"""The key that signs a site's bundle: made once, kept on the control node, pinned in the inventory."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from itertools import pairwise
from pathlib import Path

from xjops.core import paths
from xjops.core.errors import ConfigurationError
from xjops.core.locking import lock
from xjops.core.process import run
from xjops.site import Site

GPG_MEND = "apt-get install gnupg"
SOCKET_PATH = 80
LONGEST_SOCKET = "/S.gpg-agent.browser"


class Signer:
    """Signs with the one secret key in `home` (a GnuPG home, 0700). Use as a context: it ends gpg's agent."""

    def __init__(self, home: Path, fingerprint: str) -> None:
        self.home = home
        self.fingerprint = fingerprint

    def __enter__(self) -> Signer:
        return self

    def __exit__(self, *_: object) -> None:
        stop_agent(self.home)

    def detach(self, path: Path) -> Path:
        """Sign `path`; the armoured signature is `<path>.asc`."""
        target = path.with_name(path.name + ".asc")
        self._sign("--detach-sign", path, target)
        return target

    def clear(self, path: Path, target: Path) -> None:
        """Sign the text `path` in clear into `target` (apt's InRelease)."""
        self._sign("--clearsign", path, target)

    def _sign(self, how: str, path: Path, target: Path) -> None:
        gpg(self.home, "--yes", "--armor", "--digest-algo", "SHA256", "--local-user", f"{self.fingerprint}!",
            "--output", str(target), how, str(path))  # fmt: skip


@cache
def _short(home: Path) -> Path:
    """A path to `home` short enough for the agent's sockets: the kernel allows 107 characters, gpg fewer."""
    if len(str(home)) + len(LONGEST_SOCKET) <= SOCKET_PATH:
        return home
    folder = Path(tempfile.mkdtemp(prefix="xjops-gpg-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    link = folder / "home"
    link.symlink_to(home)
    return link


def gpg(home: Path, *words: str) -> str:
    """Run gpg on the GnuPG home `home`, never asking anything; its standard output.

    It may leave an agent running: callers end with `stop_agent`.
    """
    command = ["gpg", "--homedir", str(_short(home)), "--batch", "--quiet", *words]
    return run(command, seconds=60, mend=GPG_MEND).stdout.decode()


def stop_agent(home: Path) -> None:
    """End the gpg-agent of `home`, which gpg leaves running."""
    run(["gpgconf", "--homedir", str(_short(home)), "--kill", "gpg-agent"], seconds=20, check=False)


def fingerprints(listing: str) -> tuple[str, ...]:
    """Primary keys in the output of ``gpg --with-colons`` (GnuPG, doc/DETAILS)."""
    rows = [line.split(":") for line in listing.splitlines()]
    return tuple(row[9] for before, row in pairwise(rows) if row[0] == "fpr" and before[0] in ("sec", "pub"))


def home_of(site: Site) -> Path:
    """The GnuPG home with the site's signing key; made (0700) when missing."""
    home = paths.state(site.name) / "gnupg"
    home.mkdir(mode=0o700, exist_ok=True)
    return home


def ensure_key(site: Site) -> str:
    """The fingerprint of the site's signing key, made when there is none; pins its public key.

    The public key goes to `bundle.public_key_file` of the site when that file is missing. A pinned key
    whose secret key is elsewhere is never replaced (`ConfigurationError`), except in a lab, whose files
    are made by machine.
    """
    home, pinned = home_of(site), site.file(site.bundle.public_key_file)
    with lock(
        home.with_name("gnupg.lock"), what="making of the bundle's key", seconds=60, mend="run it again"
    ):
        try:
            return _ensure(home, pinned, site)
        finally:
            stop_agent(home)


def _ensure(home: Path, pinned: Path, site: Site) -> str:
    found = _secret_keys(home)
    if not found:
        if pinned.exists() and site.site.kind != "lab":
            raise ConfigurationError(
                f"At 'bundle.public_key_file' ({pinned}): the secret key of this pinned key is not in {home}",
                mend="build on the control node that holds it, or remove the file to make a new key",
            )
        gpg(home, "--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key",
            f"xjops bundle of site {site.name}", "ed25519", "sign", "never")  # fmt: skip
        pinned.unlink(missing_ok=True)
        found = _secret_keys(home)
    _pin(home, found[0], pinned)
    return found[0]


def _secret_keys(home: Path) -> tuple[str, ...]:
    return fingerprints(gpg(home, "--with-colons", "--list-secret-keys"))


def _pin(home: Path, fingerprint: str, pinned: Path) -> None:
    """Write the public key where the site pins it; refuse when another one is pinned there."""
    if not pinned.exists():
        pinned.parent.mkdir(parents=True, exist_ok=True)
        partial = pinned.with_name(pinned.name + ".partial")
        partial.write_text(gpg(home, "--armor", "--export", fingerprint))
        partial.replace(pinned)
    elif fingerprint not in fingerprints(gpg(home, "--with-colons", "--show-keys", str(pinned))):
        raise ConfigurationError(
            f"At 'bundle.public_key_file' ({pinned}): not the key that signs here ({fingerprint})",
            mend=f"remove {pinned} to pin this control node's key, or build where its secret key is",
        )
