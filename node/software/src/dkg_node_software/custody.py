"""How the parties of a local ceremony seal: against the AWS double, each under a key of its own.

What production takes from the terms and the parent stands here for the double: endpoint, roots and credentials. None of
it is in the production distribution, which computes its endpoints and trusts Amazon's roots alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dkg_api.kms_policy import KeyTerms, kms_policy
from dkg_node.sealing.aws import AwsCredentials, call, client
from dkg_node.sealing.development import Context
from dkg_node.sealing.kms import KeyService
from dkg_node.sealing.sealer import KmsSealer
from dkg_node_software.double.cloud import double_surroundings

if TYPE_CHECKING:
    from dkg_api.user_data import UserData
    from dkg_node.ceremony.ports import Attester
    from dkg_node.sealing.aws import Surroundings
    from dkg_node.sealing.cms import Recipient
    from dkg_node.sealing.stores import BlobStore

KINDS: Final = {"enclave": "ENCLAVE0", "operator": "OPERATOR", "break-glass": "BREAKGLA"}
BUCKET: Final = "dkg-shares"
SECRET: Final = "the-double-checks-no-signatures"  # noqa: S105 - nobody's


@dataclass(frozen=True, slots=True)
class DoubleParty:
    """A party's side of the double in ``state``, once the double listens."""

    state: Path
    terms: KeyTerms
    party: int

    @property
    def surroundings(self) -> Surroundings:
        """Where the double listens, and the CA that vouches for it. OSError when there is none."""
        return double_surroundings(self.state, self.terms.party(self.party).sealing.region)

    def api(self, service: str, kind: str = "enclave") -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
        """A client as the party's enclave, operator or break-glass role."""
        credentials = AwsCredentials(access_key(kind, self.party), SECRET)
        return client(service, self.surroundings, lambda: credentials)

    def make_key(self) -> str:
        """The party's KMS key, made as its operator makes it; its ARN. SealingRefusal when the double makes none."""
        policy = kms_policy(self.terms, self.party)
        create = self.api("kms", "operator").create_key
        answer = call("making the key", create, Policy=policy, BypassPolicyLockoutSafetyCheck=True)
        return str(answer["KeyMetadata"]["Arn"])

    def key_service(self, key_arn: str, attester: Attester, recipient: Recipient, statement: UserData) -> KeyService:
        """The key as the enclave uses it."""
        return KeyService(self.api("kms"), key_arn, attester, recipient, statement)

    def sealer(self, service: KeyService, store: BlobStore, attempt: int) -> KmsSealer:
        """The party's sealer of an attempt; 0 for what outlives attempts."""
        return KmsSealer(store, service, Context(self.terms.ceremony, self.terms.digest, self.party, attempt))


def access_key(kind: str, party: int) -> str:
    """Of a party's enclave, operator or break-glass role: 20 letters and digits, as AWS has them."""
    return f"AKIA{KINDS[kind]}{party:08d}"


def write_table(state: Path, terms: KeyTerms, parties: int) -> None:
    """The double's table of principals for the roles that the terms name. The directory is made."""
    from dkg_node_software.double.principals import Entry, write_principals  # noqa: PLC0415 - only the launcher needs it

    entries = {}
    for party in range(1, parties + 1):
        sealing = terms.party(party).sealing
        root = f"arn:{sealing.partition}:iam::{sealing.account}:role/"
        prefix = (f"{BUCKET}/{party}/",)
        entries[access_key("enclave", party)] = Entry(root + sealing.enclave_role, prefixes=prefix)
        entries[access_key("operator", party)] = Entry(root + sealing.operator_role, create=True)
        entries[access_key("break-glass", party)] = Entry(root + sealing.break_glass_role)
    state.mkdir(parents=True, exist_ok=True)
    write_principals(state, entries)
