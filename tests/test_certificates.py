"""Signing certificates: the development chain, its renewal, and an operator's own."""

import datetime
import errno
import logging
import os
import stat
from pathlib import Path

import pytest
from cryptography import x509

from lumora.provenance import certificates


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder that does not exist yet."""
    monkeypatch.setenv("LUMORA_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def set_clock(patch: pytest.MonkeyPatch, days: float) -> None:
    """Moves the clock that certificates are made by, by this many days."""
    moved = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    patch.setattr(certificates, "_now", lambda: moved)


def test_development_chain_is_created_once_with_private_modes(state: Path):
    first, again = certificates.signing_identity(), certificates.signing_identity()
    assert first == again and "PRIVATE" not in repr(first)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in state.iterdir())
    leaf, root = x509.load_pem_x509_certificates(first.certificates.encode())
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= datetime.timedelta(days=366)
    leaf.verify_directly_issued_by(root)
    assert x509.load_pem_x509_certificate(certificates.trusted_roots().encode()) == root


def test_a_full_disk_leaves_no_part_of_a_key(state: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="cannot be written: no space left on device; set LUMORA_STATE"):
        certificates.signing_identity()
    assert not list(state.iterdir())


def test_reading_the_trusted_roots_creates_nothing(state: Path):
    assert certificates.trusted_roots() == "" and not state.exists()


def test_signer_is_renewed_under_the_same_root_before_it_expires(state: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as past:
        set_clock(past, -340)
        old, roots = certificates.signing_identity(), certificates.trusted_roots()
    new = certificates.signing_identity()
    assert new.key != old.key and certificates.trusted_roots() == roots
    assert new.certificates != old.certificates and new == certificates.signing_identity()


def test_signer_made_by_a_clock_that_was_ahead_is_replaced_with_a_warning(
    state: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    with monkeypatch.context() as future:
        set_clock(future, 40)
        old, old_root = certificates.signing_identity(), certificates.trusted_roots()
    with caplog.at_level(logging.WARNING):
        new = certificates.signing_identity()
    assert "not valid before" in caplog.text and "check the clock" in caplog.text
    leaf, root = x509.load_pem_x509_certificates(new.certificates.encode())
    assert new != old and leaf.not_valid_before_utc < datetime.datetime.now(datetime.UTC)
    leaf.verify_directly_issued_by(root)
    assert old_root in certificates.trusted_roots()  # what was signed under it can become trusted
    caplog.clear()
    assert certificates.signing_identity() == new and not caplog.text


def test_keys_are_encrypted_with_a_passphrase(state: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LUMORA_PASSPHRASE", "open sesame")
    identity = certificates.signing_identity()
    assert all(b"BEGIN ENCRYPTED PRIVATE" in (state / name).read_bytes() for name in ("root.pem", "signer.pem"))
    assert "BEGIN PRIVATE" in identity.key
    for wrong in ("", "open barley"):
        monkeypatch.setenv("LUMORA_PASSPHRASE", wrong)
        with pytest.raises(ValueError, match="LUMORA_PASSPHRASE"):
            certificates.signing_identity()
    assert certificates.trusted_roots()  # verifying needs no passphrase


def test_operator_certificate_is_checked(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    certificates.signing_identity()
    monkeypatch.setenv("LUMORA_CERTIFICATE", str(state / "signer.pem"))
    monkeypatch.setenv("LUMORA_KEY", str(state / "signer.pem"))
    assert certificates.signing_identity()
    for days, reason in ((-30, "not valid before"), (400, "expired")):
        with monkeypatch.context() as moved, pytest.raises(ValueError, match=reason):
            set_clock(moved, days)
            certificates.signing_identity()
    monkeypatch.setenv("LUMORA_KEY", str(state / "root.pem"))
    with pytest.raises(ValueError, match="belong together"):
        certificates.signing_identity()
    monkeypatch.setenv("LUMORA_CERTIFICATE", str(tmp_path / "none.pem"))
    with pytest.raises(ValueError, match="LUMORA_CERTIFICATE"):
        certificates.signing_identity()


def test_trust_anchors_are_read_and_the_former_variable_is_refused(state: Path, monkeypatch: pytest.MonkeyPatch):
    certificates.signing_identity()
    root = certificates.trusted_roots()
    monkeypatch.setenv("LUMORA_STATE", str(state.parent / "another"))
    monkeypatch.setenv("LUMORA_TRUST_ANCHORS", str(state / "root.pem"))
    assert certificates.trusted_roots() == root
    monkeypatch.setenv("LUMORA_TRUST", str(state / "root.pem"))
    with pytest.raises(ValueError, match=r"LUMORA_TRUST is now called LUMORA_TRUST_ANCHORS.*\.$"):
        certificates.trusted_roots()
