"""Signed files for tests, among them files that were signed outside the validity of their certificate."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import c2pa
from clips import film
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding

from lumora.provenance import certificates, manifest
from lumora.provenance.keystore import state_folder
from lumora.provenance.manifest import Ingredient, sign

RECIPE = {"record": "0badcafe", "request": {"prompt": "a red ball", "width": None, "seconds": 2.0}, "made_at": "now"}


def signed(folder: Path, kind: str = ".mp4", parents: tuple[Ingredient, ...] = (), name: str = "clip") -> Path:
    """A signed file, whose unsigned version is `plain` in the same folder."""
    plain, out = folder / f"plain{kind}", folder / f"{name}{kind}"
    film().save(plain)
    sign(plain, out, kind, out.name, RECIPE, parents)
    return out


def boxes(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of the content of each box of an MP4."""
    begin = 0
    while begin < len(content):
        size = int.from_bytes(content[begin : begin + 4], "big")
        yield content[begin + 4 : begin + 8], begin + 8, begin + size
        begin += size


def tampered(file: Path, path: Path) -> Path:
    """A copy of a signed MP4 with one bit of its media data flipped."""
    content = bytearray(file.read_bytes())
    begin = next(begin for name, begin, _ in boxes(bytes(content)) if name == b"mdat")
    content[begin + 50] ^= 1
    path.write_bytes(content)
    return path


def signed_outside_validity(folder: Path, begin: float, end: float, name: str) -> Path:
    """An MP4 whose signer's certificate is valid from `begin` to `end`, in days from now.

    The library refuses to sign with such a certificate. So it is given one that is valid now, with the same key and of
    the same length; the signature is computed for the other one, which then replaces it in the file.
    """
    certificates.signing_identity()  # creates the development root
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    valid, wanted = _leaf(key, serial, -1, 1), _leaf(key, serial, begin, end)
    while len(wanted) != len(valid):  # the length of an ECDSA signature varies
        wanted = _leaf(key, serial, begin, end)

    def sign_for_wanted(data: bytes) -> bytes:
        assert valid in data
        r, s = utils.decode_dss_signature(key.sign(data.replace(valid, wanted), ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    chain = x509.load_der_x509_certificate(valid).public_bytes(Encoding.PEM).decode() + certificates.trusted_roots()
    film().save(folder / "plain.mp4")
    out = folder / name
    offline = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": False}}
    with (
        c2pa.Context.from_dict(offline) as context,
        manifest._builder(context, ".mp4", name, RECIPE, ()) as builder,
        c2pa.Signer.from_callback(sign_for_wanted, c2pa.C2paSigningAlg.ES256, chain, None) as signer,
        (folder / "plain.mp4").open("rb") as source,
        out.open("w+b") as destination,
    ):
        builder.sign(signer, "video/mp4", source, destination)
    out.write_bytes(out.read_bytes().replace(valid, wanted))
    return out


def with_remote_manifest(folder: Path) -> Path:
    """An MP4 that only refers to a manifest on a server."""
    film().save(folder / "plain.mp4")
    out, identity = folder / "remote.mp4", certificates.signing_identity()
    with (
        manifest._context(None) as context,
        manifest._builder(context, ".mp4", "remote.mp4", RECIPE, ()) as builder,
        manifest._signer(identity) as signer,
        (folder / "plain.mp4").open("rb") as source,
        out.open("w+b") as destination,
    ):
        builder.set_no_embed()
        builder.set_remote_url("http://example.invalid/manifest.c2pa")
        builder.sign(signer, "video/mp4", source, destination)
    return out


def _leaf(key: ec.EllipticCurvePrivateKey, serial: int, begin: float, end: float) -> bytes:
    """A certificate under the development root, in DER."""
    root = (state_folder() / certificates.ROOT).read_bytes()
    root_key, issuer = certificates._ec(certificates._load_key(root)), x509.load_pem_x509_certificate(root)
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.EMAIL_PROTECTION])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(certificates._name("a signer"))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now + datetime.timedelta(days=begin))
        .not_valid_after(now + datetime.timedelta(days=end))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(certificates._usage(signs_certificates=False), critical=True)
        .add_extension(usage, critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(root_key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
