"""X.509 for the lab: an authority of its own, and certificates that are renewed before they end.

Keys are ECDSA P-256. A certificate is made anew when it is missing, ends within 30 days, names other
domains or addresses than wanted, or was signed by another authority.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from xjops.lab.keys import write_private

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, GeneralName

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 800  # browsers refuse more than 825
RENEW = timedelta(days=30)
EARLIER = timedelta(days=1)  # clocks of other machines may be behind


@dataclass(frozen=True)
class Authority:
    """The lab's certificate authority: its certificate is public, its key stays in the state folder."""

    certificate: Certificate
    key: EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return _pem(self.certificate)


def _pem(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _fresh(certificate: Certificate) -> bool:
    return certificate.not_valid_after_utc - datetime.now(UTC) > RENEW


def ensure_authority(certificate_file: Path, key_file: Path, title: str) -> tuple[Authority, bool]:
    """The authority at these files, made when missing, unfit or about to end; and whether it is new."""
    found = _read_authority(certificate_file, key_file)
    if found is not None and _fresh(found.certificate):
        return found, False
    made = _make_authority(title)
    write_private(key_file, _key_pem(made.key))
    write_private(certificate_file, made.pem, 0o644)
    return made, True


def _read_authority(certificate_file: Path, key_file: Path) -> Authority | None:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = load_pem_private_key(key_file.read_bytes(), password=None)
    except (OSError, ValueError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    return Authority(certificate, key)


def _make_authority(title: str) -> Authority:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    key = _new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=False, content_commitment=False, key_encipherment=False,
                data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
                encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    return Authority(certificate, key)


def ensure_certificate(
    authority: Authority,
    certificate_file: Path,
    key_file: Path,
    names: Sequence[str | IPv4Address],
) -> bool:
    """A server certificate for `names` (the first is its subject) with the authority's behind it.

    `key_file` may be `certificate_file`: then certificate, authority and key stand in one file (0600), as
    HAProxy reads it. Returns whether it was made anew.
    """
    from cryptography import x509

    wanted = _alternative_names(names)
    try:
        have = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key_file.read_bytes()
        have.verify_directly_issued_by(authority.certificate)
        same = set(have.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == set(wanted)
    except Exception:  # whatever is unreadable or foreign there is replaced
        same = False
    else:
        same = same and _fresh(have)
    if same:
        return False
    certificate, key = _issue(authority, str(names[0]), wanted)
    chain = _pem(certificate) + authority.pem
    if key_file == certificate_file:
        write_private(certificate_file, chain + _key_pem(key))
    else:
        write_private(key_file, _key_pem(key))
        write_private(certificate_file, chain, 0o644)
    return True


def _alternative_names(names: Sequence[str | IPv4Address]) -> list[GeneralName]:
    from cryptography import x509

    return [
        x509.IPAddress(name) if isinstance(name, IPv4Address) else x509.DNSName(name)
        for name in dict.fromkeys(names)
    ]


def _issue(
    authority: Authority, subject: str, names: Sequence[GeneralName]
) -> tuple[Certificate, EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = _new_key()
    now = datetime.now(UTC)
    identifier = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
        .sign(authority.key, hashes.SHA256())
    )
    return certificate, key
