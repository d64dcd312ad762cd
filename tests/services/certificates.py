"""An authority of certificates for one test, and what it signs."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Authority", "Certified"]

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certified:
    """A certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates that are good for a day."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.certificate = folder / "authority.pem"
        self._key = folder / "authority.key"
        _openssl(
            "req", "-x509", *_KEY, "-subj", "/CN=authority of a test", "-days", "1",
            "-keyout", self._key, "-out", self.certificate,
        )  # fmt: skip

    def issue(self, name: str) -> Certified:
        """Return a certificate for a common name; for an address if it looks like one."""
        signed = Certified(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        address = name.replace(".", "").isdigit()
        _openssl(
            "req", "-x509", *_KEY, "-subj", f"/CN={name}", "-days", "1", "-CA", self.certificate,
            "-CAkey", self._key, "-addext", f"subjectAltName={'IP' if address else 'DNS'}:{name}",
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-keyout", signed.key, "-out", signed.certificate,
        )  # fmt: skip
        return signed

    def locked(self, signed: Certified) -> Path:
        """Return a copy of a key that asks for a password."""
        file = signed.key.with_suffix(".locked")
        _openssl("ec", "-in", signed.key, "-aes256", "-passout", "pass:x", "-out", file)
        return file


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
