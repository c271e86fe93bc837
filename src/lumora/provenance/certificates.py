"""Who signs: an operator's own certificate, or a chain for development that is made on first use.

An operator names three things in the environment: `LUMORA_CERTIFICATE`, a PEM file of the certificate and those above
it; `LUMORA_KEY`, the PEM file of its private key; `LUMORA_PASSPHRASE`, where that is encrypted. `LUMORA_TRUST` names a
PEM file of further roots whose signatures count as trusted.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lumora.provenance.keystore import secret, state_folder, write_secret

LEAF_DAYS, ROOT_DAYS = 365, 3650
"""C2PA's programme allows a signing certificate 366 days at most."""
RENEWAL_DAYS = 30
"""A development certificate is renewed when it has no more than these left."""

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class SigningIdentity:
    """Certificates of a signer, PEM, its own first; its private key, PEM and not encrypted; its algorithm's name in
    C2PA."""

    certificates: str
    key: str
    algorithm: str

    def __repr__(self) -> str:
        return "Identity(…)"  # so that no log and no traceback shows the key


def signing_identity() -> SigningIdentity:
    """The operator's identity where the environment names one, else that of development, made or renewed when needed.

    Raises ValueError, in a sentence, for a certificate that is not valid today and a key that can't be read or is
    another's.
    """
    if os.environ.get("LUMORA_CERTIFICATE"):
        return _identity(_read("LUMORA_CERTIFICATE"), _read("LUMORA_KEY"))
    folder = state_folder()
    root = secret(folder / "root.pem", _new_root)
    signer = secret(folder / "signer.pem", lambda: _new_signer(root))
    if _leaf(signer).not_valid_after_utc - _now() < timedelta(days=RENEWAL_DAYS):
        write_secret(folder / "signer.pem", signer := _new_signer(root))
    return _identity(signer, signer)


def trusted_roots() -> str:
    """PEM of the roots whose signatures count as trusted: that of development, where it was made, and
    LUMORA_TRUST's."""
    root = state_folder() / "root.pem"
    pems = [_certificates(root.read_bytes())] if root.exists() else []
    return "".join(pems + ([_certificates(_read("LUMORA_TRUST"))] if os.environ.get("LUMORA_TRUST") else []))


def _identity(certificates: bytes, key: bytes) -> SigningIdentity:
    private, leaf = _load_key(key), _leaf(certificates)
    if not leaf.not_valid_before_utc <= _now() <= leaf.not_valid_after_utc:
        raise ValueError(
            f"The signing certificate is not valid today; it ended on {leaf.not_valid_after_utc:%Y-%m-%d}."
        )
    if _public(private.public_key()) != _public(leaf.public_key()):
        raise ValueError(
            "The signing certificate and the key don't belong together; check LUMORA_CERTIFICATE and LUMORA_KEY."
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
    root_key, above = _load_key(root), _leaf(root)
    key = ec.generate_private_key(ec.SECP256R1())
    above_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(_ec(root_key).public_key())
    # Without the usage of protected mail, C2PA's reader refuses the certificate.
    protects_mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    certificate = (
        _certificate(_name("lumora development signer"), above.subject, key.public_key(), LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(protects_mail, critical=False)
        .add_extension(above_key, critical=False)
        .sign(_ec(root_key), hashes.SHA256())
    )
    return _pem(key, certificate, above)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    begin = _now() - timedelta(minutes=5)  # clocks of two machines differ
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
    """The key, encrypted where there is a passphrase, and the certificates, so that they can't be parted by a crash."""
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
        advice = "set LUMORA_PASSPHRASE to what it was encrypted with" if encrypted else "it must be PEM"
        raise ValueError(f"The signing key can't be read; {advice}.") from error
    if not isinstance(key, Key):
        raise ValueError("The signing key must be of the kind EC, Ed25519 or RSA.")
    return key


def _ec(key: Key) -> ec.EllipticCurvePrivateKey:
    assert isinstance(key, ec.EllipticCurvePrivateKey), "the development root is ours, on P-256"
    return key


def _leaf(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except ValueError as error:
        raise ValueError(f"The signing certificate can't be read; it must be PEM: {error}.") from error


def _certificates(pem: bytes) -> str:
    """The certificates in `pem` and nothing else; a private key may stand beside them."""
    return "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in x509.load_pem_x509_certificates(pem))


def _public(key: Any) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _read(variable: str) -> bytes:
    try:
        return Path(os.environ.get(variable, "")).read_bytes()
    except OSError as error:
        raise ValueError(f"The file that {variable} names can't be read: {error.strerror}.") from None


def _now() -> datetime:
    return datetime.now(UTC)
