"""CiphertextForRecipient: what AWS KMS answers to a request with a Recipient, opened inside the enclave.

CMS EnvelopedData (RFC 5652) in BER with indefinite lengths: one recipient by key identifier, the content key under
RSAES-OAEP with SHA-256 and MGF1-SHA256 (RFC 4055), the content under AES-256-CBC. Exactly this shape is taken. CBC is
not authenticated: what comes out is used as a key and nothing else, so changed content is a wrong key and no oracle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from asn1crypto.cms import ContentInfo
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dkg_node.algebra.kernel import Secret
from dkg_node.errors import SealingError

MAX_BYTES: Final = 6144
"""KMS's own limit of a ciphertext."""
RSA_BITS: Final = 2048
KEY_BYTES: Final = 32
BLOCK: Final = 16
OAEP_SHA256: Final = {
    "algorithm": "rsaes_oaep",
    "parameters": {
        "hash_algorithm": {"algorithm": "sha256", "parameters": None},
        "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": "sha256", "parameters": None}},
        "p_source_algorithm": {"algorithm": "p_specified", "parameters": b""},
    },
}
REFUSED: Final = "ask the key service again: its answer is not a data key for this enclave"


@dataclass(frozen=True, slots=True)
class Enveloped:
    """The parts of an answer, none of them checked against anything."""

    encrypted_key: bytes
    """The content key under the recipient's RSA key."""
    iv: bytes
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class Recipient:
    """The RSA key that documents for KMS vouch for. It lives in the memory of ``cryptography`` and dies with it."""

    key: RSAPrivateKey

    @classmethod
    def fresh(cls) -> Recipient:
        """A new key of 2048 bits; some tenths of a second."""
        return cls(generate_private_key(public_exponent=65537, key_size=RSA_BITS))

    def __repr__(self) -> str:
        """Nothing of it."""
        return "Recipient(...)"

    @property
    def public_key(self) -> bytes:
        """DER SPKI, for the document's ``public_key``."""
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def open(self, envelope: bytes) -> Secret:
        """The 32-byte data key. SealingError, always with the same text, for anything else."""
        return self._content(read_envelope(envelope))

    def _content(self, parts: Enveloped) -> Secret:
        """Plaintext stands in one buffer of our own and is wiped; the content key is bytes of the library for now."""
        buffer = bytearray(len(parts.ciphertext) + BLOCK)
        try:
            scheme = OAEP(mgf=MGF1(algorithm=SHA256()), algorithm=SHA256(), label=None)
            content_key = self.key.decrypt(parts.encrypted_key, scheme)
            if len(content_key) != KEY_BYTES:
                raise SealingError(REFUSED)
            size = Cipher(AES(content_key), CBC(parts.iv)).decryptor().update_into(parts.ciphertext, buffer)
            # PKCS #7 by hand: the library's unpadder would leave a copy of the key behind.
            if size != KEY_BYTES + BLOCK or any(byte != BLOCK for byte in buffer[KEY_BYTES:size]):
                raise SealingError(REFUSED)
            return Secret.from_bytes(memoryview(buffer)[:KEY_BYTES])
        except ValueError:
            raise SealingError(REFUSED) from None
        finally:
            buffer[:] = bytes(len(buffer))


def read_envelope(envelope: bytes) -> Enveloped:
    """The parts of an answer of KMS. SealingError for any other bytes."""
    if not 0 < len(envelope) <= MAX_BYTES:
        raise SealingError(REFUSED)
    try:
        info = ContentInfo.load(envelope, strict=True)
        parts = _parts(info) if info["content_type"].native == "enveloped_data" else None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError):
        parts = None  # what the parser's lazy fields raise for bytes that are no CMS
    if parts is None:
        raise SealingError(REFUSED)
    return parts


def _parts(info: ContentInfo) -> Enveloped | None:
    data = info["content"]
    content = data["encrypted_content_info"]
    recipients = data["recipient_infos"]
    if data["version"].native != "v2" or len(recipients) != 1 or recipients[0].name != "ktri":
        return None
    recipient = recipients[0].chosen
    cipher = content["content_encryption_algorithm"]
    good = (
        recipient["version"].native == "v2"
        and recipient["rid"].name == "subject_key_identifier"
        and recipient["key_encryption_algorithm"].native == OAEP_SHA256
        and content["content_type"].native == "data"
        and cipher["algorithm"].native == "aes256_cbc"
    )
    parts = (recipient["encrypted_key"].native, cipher["parameters"].native, content["encrypted_content"].native)
    if not good or not all(isinstance(part, bytes) for part in parts):
        return None
    key, iv, ciphertext = parts
    whole = len(key) * 8 == RSA_BITS and len(iv) == BLOCK and len(ciphertext) > 0 and not len(ciphertext) % BLOCK
    return Enveloped(key, iv, ciphertext) if whole else None
