"""The bundle's key: made once, pinned, never replaced behind anyone's back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.xjops.bundle.conftest import Key
from xjops.bundle.signing import ensure_key, home_of
from xjops.core.errors import ConfigurationError
from xjops.site import Site


def production(site: Site) -> Site:
    return site.model_copy(update={"site": site.site.model_copy(update={"kind": "production"})})


def test_key_is_made_once_and_pinned(site: Site) -> None:
    pinned = site.file(site.bundle.public_key_file)
    assert not pinned.exists()
    first = ensure_key(site)
    text = pinned.read_text()
    assert text.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    assert "PRIVATE" not in text
    assert home_of(site).stat().st_mode & 0o777 == 0o700
    assert ensure_key(site) == first
    assert pinned.read_text() == text


def test_lost_pin_is_written_again(site: Site) -> None:
    fingerprint, pinned = ensure_key(site), site.file(site.bundle.public_key_file)
    text = pinned.read_text()
    pinned.unlink()
    assert ensure_key(site) == fingerprint
    assert pinned.read_text() == text


def test_another_pinned_key_is_not_overwritten(site: Site, other_key: Key) -> None:
    ensure_key(site)
    pinned = site.file(site.bundle.public_key_file)
    shutil.copy(other_key.public, pinned)
    with pytest.raises(ConfigurationError, match="not the key that signs here"):
        ensure_key(site)
    assert pinned.read_bytes() == other_key.public.read_bytes()


def test_production_needs_the_secret_key_of_its_pinned_key(site: Site, other_key: Key) -> None:
    pinned = site.file(site.bundle.public_key_file)
    pinned.parent.mkdir(parents=True)
    shutil.copy(other_key.public, pinned)
    with pytest.raises(ConfigurationError, match="the secret key of this pinned key is not in"):
        ensure_key(production(site))
    assert pinned.read_bytes() == other_key.public.read_bytes()


def test_lab_whose_state_was_lost_gets_a_new_key(site: Site) -> None:
    first = ensure_key(site)
    shutil.rmtree(home_of(site))
    second = ensure_key(site)
    assert second != first
    assert ensure_key(site) == second


def test_agent_does_not_stay(site: Site) -> None:
    ensure_key(site)
    home = str(home_of(site)).encode()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes()
        except OSError:
            continue
        assert not (b"gpg-agent" in command and home in command)
