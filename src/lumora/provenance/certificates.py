"""Signing certificates: an operator's own, or a development chain that is created on first use.

An operator sets `LUMORA_CERTIFICATE` to a PEM file with the certificate and those above it, `LUMORA_KEY` to the PEM
file of its private key, and `LUMORA_PASSPHRASE` if the key is encrypted. `LUMORA_TRUST_ANCHORS` names a PEM file of
further roots whose signatures are trusted.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lumora.atomic_io import error_reason
from lumora.provenance.keystore import environment_variable, state_folder, state_path, stored_secret, write_secret

LEAF_DAYS, ROOT_DAYS = 365, 3650
"""C2PA's conformance program allows at most 366 days for a signing certificate."""
RENEWAL_DAYS = 30
"""A development certificate is renewed so long before it expires."""

ROOT, SIGNER = "root.pem", "signer.pem"
"""The development certificates in the state folder, each file with its private key."""
FORMER_ROOTS = "former_roots.pem"
"""Development roots that were replaced, without keys: files that were signed under them stay trusted."""

_log = logging.getLogger(__name__)

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class SigningIdentity:
    """A signer's certificates (PEM, its own first), private key (PEM, not encrypted) and algorithm (C2PA's name)."""

    certificates: str
    key: str
    algorithm: str

    def __repr__(self) -> str:
        return "SigningIdentity(…)"  # no log and no traceback may show the key


def signing_identity() -> SigningIdentity:
    """The operator's identity if the environment names one, otherwise the development identity.

    The development identity is created when it is missing, and replaced before it expires. If it is not valid yet, it
    was created while the clock was ahead: it is replaced with a warning. Raises ValueError, with a sentence, for a
    certificate that is not valid today, and for a key that cannot be read or does not belong to the certificate.
    """
    if os.environ.get("LUMORA_CERTIFICATE"):
        return _identity(_read("LUMORA_CERTIFICATE"), _read("LUMORA_KEY"))
    folder = state_folder()
    root = stored_secret(folder / ROOT, _new_root)
    if not _valid(_first(root)):
        root = _replace_root(folder, root)
    signer = stored_secret(folder / SIGNER, lambda: _new_signer(root))
    if not _current(_first(signer), _first(root)):
        _warn_of_clock(_first(signer))
        write_secret(folder / SIGNER, signer := _new_signer(root))
    return _identity(signer, signer)


def trusted_roots() -> str:
    """PEM of the roots whose signatures are trusted: the development roots, if any, and LUMORA_TRUST_ANCHORS's.

    Nothing is created. Raises ValueError or OSError, with a sentence, for a file that cannot be read.
    """
    pems = []
    for name in (ROOT, FORMER_ROOTS):
        path = state_path() / name
        try:
            pems.append(path.read_bytes())
        except FileNotFoundError:
            continue
        except OSError as error:
            raise OSError(f"{path} cannot be read: {error_reason(error)}.") from error
    if environment_variable("LUMORA_TRUST_ANCHORS", former_name="LUMORA_TRUST"):
        pems.append(_read("LUMORA_TRUST_ANCHORS"))
    return "".join(_certificates(pem) for pem in pems)


def _valid(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_before_utc <= _now() <= certificate.not_valid_after_utc


def _current(signer: x509.Certificate, root: x509.Certificate) -> bool:
    """Whether a development signer is valid, does not expire soon, and was issued by this root."""
    try:
        signer.verify_directly_issued_by(root)
    except (InvalidSignature, ValueError):  # another key, another name
        return False
    return _valid(signer) and signer.not_valid_after_utc - _now() >= timedelta(days=RENEWAL_DAYS)


def _replace_root(folder: Path, root: bytes) -> bytes:
    _warn_of_clock(_first(root))
    former = folder / FORMER_ROOTS
    kept = former.read_bytes() if former.exists() else b""
    write_secret(former, kept + _certificates(root).encode())
    write_secret(folder / ROOT, new := _new_root())
    return new


def _warn_of_clock(certificate: x509.Certificate) -> None:
    if certificate.not_valid_before_utc > _now():
        _log.warning("%s It is replaced; check the clock of this machine.", _not_valid_yet(certificate))


def _not_valid_yet(certificate: x509.Certificate) -> str:
    return f"The signing certificate is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC."


def _identity(certificates: bytes, key: bytes) -> SigningIdentity:
    private, leaf = _load_key(key), _first(certificates)
    if leaf.not_valid_before_utc > _now():
        raise ValueError(_not_valid_yet(leaf))
    if leaf.not_valid_after_utc < _now():
        raise ValueError(f"The signing certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d}; get a new one.")
    if _public(private.public_key()) != _public(leaf.public_key()):
        raise ValueError(
            "The signing certificate and the key do not belong together; check LUMORA_CERTIFICATE and LUMORA_KEY."
        )
    plain = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return SigningIdentity(_certificates(certificates), plain.decode(), _algorithm(private))


def _algorithm(key: Key) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {256: "es256", 384: "es384", 521: "es512"}[key.key_size]
    return "ed25519" if isinstance(key, ed25519.Ed25519PrivateKey) else "ps256"


def _new_root() -> bytes:
    key, name = ec.generate_private_key(ec.SECP256R1()), _name("lumora development root")
    certificate = _certificate(name, name, key.public_key(), ROOT_DAYS)
    certificate = certificate.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    certificate = certificate.add_extension(_usage(signs_certificates=True), critical=True)
    return _pem(key, certificate.sign(key, hashes.SHA256()))


def _new_signer(root: bytes) -> bytes:
    root_key, issuer = _load_key(root), _first(root)
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(_ec(root_key).public_key())
    # C2PA's reader refuses a certificate without this usage.
    email_protection = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    certificate = (
        _certificate(_name("lumora development signer"), issuer.subject, key.public_key(), LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(email_protection, critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(_ec(root_key), hashes.SHA256())
    )
    return _pem(key, certificate, issuer)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    begin = _now() - timedelta(minutes=5)  # the clocks of two machines differ
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "lumora (development, nobody vouches for it)")
    return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(key: ec.EllipticCurvePrivateKey, *certificates: x509.Certificate) -> bytes:
    """The key, encrypted if there is a passphrase, and the certificates, in one file that is replaced atomically."""
    passphrase = os.environ.get("LUMORA_PASSPHRASE", "").encode()
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    return private + b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


def _load_key(pem: bytes) -> Key:
    passphrase = os.environ.get("LUMORA_PASSPHRASE", "").encode() or None
    begin, end = pem.find(b"-----BEGIN"), pem.find(b"KEY-----", pem.find(b"-----END"))
    encrypted = b"ENCRYPTED" in pem[begin:end]
    try:
        key = serialization.load_pem_private_key(pem, passphrase if encrypted else None)
    except (ValueError, TypeError) as error:
        advice = "set LUMORA_PASSPHRASE to the passphrase it was encrypted with" if encrypted else "it must be PEM"
        raise ValueError(f"The signing key cannot be read; {advice}.") from error
    if not isinstance(key, Key):
        raise ValueError("The signing key must be an EC, Ed25519 or RSA key.")
    return key


def _ec(key: Key) -> ec.EllipticCurvePrivateKey:
    assert isinstance(key, ec.EllipticCurvePrivateKey), "development roots use P-256"
    return key


def _first(pem: bytes) -> x509.Certificate:
    """The first certificate: of a chain, the signer's own."""
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except ValueError as error:
        raise ValueError(f"The signing certificate cannot be read; it must be PEM: {error}.") from error


def _certificates(pem: bytes) -> str:
    """Only the certificates in `pem`, which may also hold a private key."""
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise ValueError(f"A certificate cannot be read; it must be PEM: {error}.") from error
    return "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in certificates)


def _public(key: Any) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _read(variable: str) -> bytes:
    try:
        return Path(os.environ.get(variable, "")).read_bytes()
    except OSError as error:
        raise ValueError(f"The file that {variable} names cannot be read: {error_reason(error)}.") from None


def _now() -> datetime:
    return datetime.now(UTC)
