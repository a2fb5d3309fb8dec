"""Signatures that a public key verifies: ECDSA over P-256 with SHA-256."""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key


def is_signed(message: bytes, signature: str, public_key: str) -> bool:
    """Return whether a message was signed by the owner of a public key.

    Args:
        message: What was signed.
        signature: The signature, DER in base64.
        public_key: The key, SubjectPublicKeyInfo (DER) in base64.

    Returns:
        False also for what is no signature, and for a key that is none or of another curve.
    """
    try:
        key = load_der_public_key(base64.b64decode(public_key.strip(), validate=True))
        if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
            return False
        key.verify(base64.b64decode(signature, validate=True), message, ECDSA(hashes.SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, binascii.Error):
        return False
    return True
