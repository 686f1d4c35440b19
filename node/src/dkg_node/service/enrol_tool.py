"""`enrol`: an organisation says which identity key speaks for its party, by the enclave's own document (03, "Keys")."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dkg_api.enrolment import enrol
from dkg_api.errors import ApiError
from dkg_api.signatures import public_bytes
from dkg_api.user_data import decode_user_data
from dkg_node.attestation.appraiser import LONG_LIVED, TermsAppraiser
from dkg_node.attestation.document import read_document
from dkg_node.attestation.reasons import Reason, Refusal
from dkg_node.errors import UsageError
from dkg_node.sealing.files import write_atomic
from dkg_node.service.clock import milliseconds
from dkg_node.service.command import DONE
from dkg_node.service.evidence_tool import instant_of
from dkg_node.service.key_tool import load_key
from dkg_node.service.verify import read_file, read_signed_terms

if TYPE_CHECKING:
    import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `enrol`."""
    parser.add_argument("terms", type=Path, metavar="TERMS", help="terms signed by all organisations")
    parser.add_argument("--party", type=int, required=True, metavar="I", help="whose key")
    parser.add_argument("--document", type=Path, required=True, metavar="FILE", help="the enclave's document, CBOR")
    parser.add_argument("--key-arn", metavar="ARN", help="the party's KMS key; software terms may do without")
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="the organisation key")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the enrolment goes")


def run(options: argparse.Namespace) -> int:
    """Judge the document as every peer will, then sign. AttestationError when a peer would refuse it."""
    terms = read_signed_terms(options.terms)
    options.edition.check(terms.attestation, "enrol")
    key = load_key(options.key)
    if not 1 <= options.party <= terms.n:
        raise UsageError(f"choose a party of the terms, 1 to {terms.n}, not {options.party}")
    if public_bytes(key).hex() != terms.party(options.party).organization_key:
        raise UsageError(
            f"sign with the key of party {options.party}: this one is not the organizationKey of the terms"
        )
    document = read_file(options.document, "document")
    made, identity = _identity(document)
    try:
        enrolment = enrol(terms.digest, options.party, identity, key, document, options.key_arn)
    except ApiError as error:
        raise UsageError(str(error)) from None
    TermsAppraiser(terms, LONG_LIVED, options.edition.root).enrolment(enrolment, milliseconds())
    write_atomic(options.out, json.dumps(enrolment.model_dump(mode="json"), indent=1).encode() + b"\n")
    lines = [*terms.notices, f"identity key {identity.hex()}", f"document made {instant_of(made)}"]
    sys.stdout.write("\n".join(lines) + "\n")
    return DONE


def _identity(document: bytes) -> tuple[int, bytes]:
    """When the document was made, and the key it names. Refusal if it names none."""
    read = read_document(document)
    said = decode_user_data(read.user_data)
    if said is None or said.identity_key is None:
        raise Refusal(Reason.USER_DATA, "it names no identity key")
    return read.timestamp, said.identity_key
