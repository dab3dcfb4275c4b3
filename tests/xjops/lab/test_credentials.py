"""Secrets of the lab: made once, kept, mended, and never made for a production site."""

from __future__ import annotations

import stat
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from xjops.core import paths
from xjops.core.errors import ConfigurationError, UsageError
from xjops.lab import certificates, credentials, keys, vault
from xjops.lab.certificates import ensure_authority, ensure_certificate
from xjops.site import Site

NAMES = ["xueji.lab.example", IPv4Address("10.58.107.10")]


def snapshot(*folders: Path) -> dict[Path, bytes]:
    # GnuPG rewrites its own housekeeping files
    return {
        file: file.read_bytes()
        for folder in folders
        for file in folder.rglob("*")
        if file.is_file() and "gnupg" not in file.parts
    }


def test_everything_is_made_once_and_then_kept(lab_site: Site) -> None:
    first = credentials.ensure("lab")
    state = paths.state("lab")
    before = snapshot(state, lab_site.folder)
    again = credentials.ensure("lab")
    assert set(first.new) == {
        "vault", "SSH key", "bundle key", "certificate authority", "balancer certificate",
        "vCenter certificate",
    }  # fmt: skip
    assert again.new == ()
    assert snapshot(state, lab_site.folder) == before
    assert set(first.site.secrets) == set(vault.NAMES)
    assert (lab_site.folder / "files" / "bundle.asc").read_text().startswith("-----BEGIN PGP PUBLIC KEY")


def test_secret_files_are_for_root_alone(lab_site: Site) -> None:
    credentials.ensure("lab")
    state = paths.state("lab")
    secret = [
        state / "ssh" / "id_ed25519", state / "vault-password", state / "lab" / "ca.key",
        state / "lab" / "vcenter.key", lab_site.folder / "files" / "balancer.pem",
        lab_site.folder / "group_vars" / "all" / "vault.yml",
    ]  # fmt: skip
    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in secret} == {
        file.name: 0o600 for file in secret
    }
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


def test_no_secret_stands_in_clear_in_the_inventory(lab_site: Site) -> None:
    made = credentials.ensure("lab")
    values = [value.get_secret_value().encode() for value in made.site.secrets.values()]
    text = b"".join(snapshot(lab_site.folder).values())
    assert not [value for value in values if value in text]


def test_a_later_version_adds_names_and_keeps_values(lab_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    old = credentials.ensure("lab").site.secrets
    monkeypatch.setattr(vault, "NAMES", {**vault.NAMES, "vault_later": 18})
    made = credentials.ensure("lab")
    assert made.new == ("vault",)
    assert set(made.site.secrets) == {*old, "vault_later"}
    assert all(made.site.secrets[name] == value for name, value in old.items())


def test_a_vault_whose_password_is_lost_is_named(lab_site: Site) -> None:
    credentials.ensure("lab")
    (paths.state("lab") / "vault-password").unlink()
    with pytest.raises(ConfigurationError, match=r"vault.yml is there, but not its password.*--purge"):
        credentials.ensure("lab")


def test_a_vault_with_another_password_is_named(lab_site: Site) -> None:
    credentials.ensure("lab")
    (paths.state("lab") / "vault-password").write_text("another\n")
    with pytest.raises(ConfigurationError, match=r"can't be decrypted.*--purge"):
        credentials.ensure("lab")


def test_nothing_is_made_for_a_production_site(lab_site: Site) -> None:
    settings = lab_site.folder / "group_vars" / "all" / "site.yml"
    settings.write_text(settings.read_text().replace("kind: lab", "kind: production"))
    before = snapshot(lab_site.folder)
    with pytest.raises(UsageError, match="production site"):
        credentials.ensure("lab")
    assert snapshot(lab_site.folder) == before


def test_an_unknown_site_is_named(lab_site: Site) -> None:
    with pytest.raises(ConfigurationError, match="no site 'nowhere'"):
        credentials.ensure("nowhere")


def test_openssl_trusts_the_balancer_for_its_name_and_address(lab_site: Site) -> None:
    site = credentials.ensure("lab").site
    files = site.folder / "files"
    for check in (["-verify_hostname", "xueji.lab.example"], ["-verify_ip", "10.58.107.10"]):
        subprocess.run(
            ["openssl", "verify", "-x509_strict", "-CAfile", files / "lab-ca.pem", *check,
             files / "balancer.pem"],
            check=True, capture_output=True, timeout=20,
        )  # fmt: skip
    wrong = subprocess.run(
        ["openssl", "verify", "-CAfile", files / "lab-ca.pem", "-verify_ip", "10.58.107.11",
         files / "balancer.pem"],
        check=False, capture_output=True, timeout=20,
    )  # fmt: skip
    assert wrong.returncode != 0
    # HAProxy reads certificate, chain and key from the one file
    text = (files / "balancer.pem").read_bytes()
    certificate, chained = x509.load_pem_x509_certificates(text)
    assert chained == x509.load_pem_x509_certificate((files / "lab-ca.pem").read_bytes())
    assert load_pem_private_key(text, None).public_key() == certificate.public_key()


@pytest.mark.parametrize("days", [20, -5])
def test_a_certificate_about_to_end_is_renewed(
    days: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, _ = ensure_authority(tmp_path / "ca.pem", tmp_path / "ca.key", "test")
    file = tmp_path / "server.pem"
    monkeypatch.setattr(certificates, "CERTIFICATE_DAYS", days)
    monkeypatch.setattr(certificates, "EARLIER", timedelta(days=30))
    assert ensure_certificate(authority, file, file, NAMES)
    monkeypatch.undo()
    assert ensure_certificate(authority, file, file, NAMES)
    ends = x509.load_pem_x509_certificates(file.read_bytes())[0].not_valid_after_utc
    assert ends - datetime.now(UTC) > timedelta(days=700)
    assert not ensure_certificate(authority, file, file, NAMES)


def test_a_certificate_follows_its_names_and_its_authority(tmp_path: Path) -> None:
    authority, new = ensure_authority(tmp_path / "ca.pem", tmp_path / "ca.key", "test")
    assert new
    file, key = tmp_path / "server.pem", tmp_path / "server.key"
    assert ensure_certificate(authority, file, key, NAMES)
    assert ensure_certificate(authority, file, key, [*NAMES, "localhost"])
    assert not ensure_certificate(authority, file, key, ["localhost", *NAMES])
    key.unlink()
    assert ensure_certificate(authority, file, key, NAMES)
    (tmp_path / "ca.key").write_text("damaged")
    other, new = ensure_authority(tmp_path / "ca.pem", tmp_path / "ca.key", "test")
    assert new
    assert ensure_certificate(other, file, key, NAMES)


def test_ssh_keys_are_read_by_openssh(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "id_ed25519"
    public = keys.ensure_key(file, "who and where")
    derived = subprocess.run(
        ["ssh-keygen", "-y", "-f", file], check=True, capture_output=True, text=True, timeout=20
    ).stdout
    assert derived.split()[:2] == public.split()[:2]
    assert keys.ensure_key(file, "another") == public
    assert public.endswith("who and where")
