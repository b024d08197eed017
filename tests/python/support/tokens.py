"""Tokens as operators and identity providers make them: files of tokens, and JSON Web Tokens signed by PyJWT."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

SECRET = "a secret that is long enough for HS256, as its 32 bytes and more show"
READER = "reader-4f1d9c5b8e2a7063"
SCRAPER = "scraper-0b7e6a1f3c9d5284"


def write_secret(path: Path, text: str, mode: int = 0o600) -> Path:
    """A file that only its owner can read, unless `mode` is given."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a token that is valid for an hour; None removes one."""
    made = {"sub": "a-client", "exp": int(time.time()) + 3600, **changes}
    return {name: value for name, value in made.items() if value is not None}


def signed(key: Any = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """A JSON Web Token."""
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=headers)


def pem(key: PrivateKeyTypes) -> str:
    """The public key, as PEM."""
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return public.decode()


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())
