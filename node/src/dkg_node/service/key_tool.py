"""`key new`: an organisation key (Ed25519), kept by people outside of any cluster (03, "Keys")."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from dkg_api.signatures import public_bytes
from dkg_node.errors import UsageError
from dkg_node.service.command import DONE
from dkg_node.service.verify import read_file

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `key`."""
    parser.add_argument("action", choices=("new",), help="make a key")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="where the private key goes (PEM, mode 0600)"
    )


def run(options: argparse.Namespace) -> int:
    """Write a new private key, print the public one in hex."""
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        handle = os.open(options.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"choose another --out: {options.out} exists, and a key is never overwritten") from None
    with os.fdopen(handle, "wb") as file:
        file.write(text)
        os.fsync(file.fileno())
    sys.stdout.write(public_bytes(key).hex() + "\n")
    return DONE


def load_key(path: Path) -> Ed25519PrivateKey:
    """The key of a PEM file; UsageError when it is none."""
    try:
        key = load_pem_private_key(read_file(path, "organisation key"), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path} is no organisation key: give the file that `key new` wrote")
    return key
