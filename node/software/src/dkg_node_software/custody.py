"""How the parties of a local ceremony seal: against the AWS double, each under a key of its own.

What production takes from the terms and the parent stands here for the double: endpoint, roots and credentials. None of
it is in the production distribution, which computes its endpoints and trusts Amazon's roots alone.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dkg_api.desired_state import parse_desired_state
from dkg_api.errors import ApiError
from dkg_api.kms_policy import KeyTerms, kms_policy
from dkg_api.user_data import UserData
from dkg_node.errors import SealingError
from dkg_node.sealing.aws import AwsCredentials, call, client
from dkg_node.sealing.kms import Context, KeyService
from dkg_node.sealing.sealer import KmsSealer
from dkg_node.sealing.stores import DirectoryBlobs
from dkg_node.service.cloud import Aws
from dkg_node_software.agreement import ATTEMPT
from dkg_node_software.double.cloud import double_surroundings
from dkg_node_software.root import SOFTWARE_ROOT

if TYPE_CHECKING:
    from dkg_api.terms import Terms
    from dkg_node.ceremony.ports import Attester
    from dkg_node.sealing.aws import CredentialSource, Surroundings
    from dkg_node.sealing.cms import Recipient
    from dkg_node.sealing.stores import BlobStore
    from dkg_node_software.layout import Layout

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
        """Where the double listens, and the CA that vouches for it. EnvironmentFault when there is none."""
        return double_surroundings(self.state, self.terms.party(self.party).sealing.region)

    def api(self, service: str, kind: str = "enclave") -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
        """A client as the party's enclave, operator or break-glass role."""
        return client(service, self.surroundings, self._source(kind))

    def aws(self) -> Aws:
        """AWS as the party's enclave reaches it."""
        return Aws(self.surroundings, self._source("enclave"), self.terms.party(self.party).sealing.account)

    def _source(self, kind: str) -> CredentialSource:
        credentials = AwsCredentials(access_key(kind, self.party), SECRET)
        return lambda: credentials

    def make_key(self) -> str:
        """The party's KMS key, made as its operator makes it; its ARN. SealingRefusal when the double makes none."""
        policy = kms_policy(self.terms, self.party)
        create = self.api("kms", "operator").create_key
        answer = call("making the key", create, Policy=policy, BypassPolicyLockoutSafetyCheck=True)
        return str(answer["KeyMetadata"]["Arn"])

    def key_service(self, key_arn: str, attester: Attester, recipient: Recipient, statement: UserData) -> KeyService:
        """The key as the enclave uses it."""
        return KeyService(self.aws().kms(), key_arn, attester, recipient, statement)

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


@dataclass(frozen=True, slots=True)
class Enclaves:
    """This installation's code in the place of every party's enclave, once the ceremony is over."""

    layout: Layout
    terms: Terms
    attester: Attester
    recipient: Recipient

    @classmethod
    def of(cls, layout: Layout, terms: Terms) -> Enclaves:
        """Those of a boot of this code."""
        from dkg_node.sealing.cms import Recipient  # noqa: PLC0415 - only here is one made
        from dkg_node_software.measure import measure  # noqa: PLC0415 - reads all code
        from dkg_node_software.nsm import software_attester  # noqa: PLC0415 - the same

        return cls(layout, terms, software_attester(measure()), Recipient.fresh())

    def service(self, party: int) -> KeyService:
        """The party's enrolled key. SealingError when none is enrolled."""
        said = UserData(
            purpose="kms", terms_digest=self.terms.digest, attempt=ATTEMPT, party=party, boot_id=os.urandom(16),
            boot_number=time.time_ns(), root=SOFTWARE_ROOT,
        )  # fmt: skip
        arn = enrolled_arn(self.layout, party)
        return self._side(party).key_service(arn, self.attester, self.recipient, said)

    def sealer(self, party: int, service: KeyService) -> KmsSealer:
        """Of what the party sealed in its directory."""
        return self._side(party).sealer(service, DirectoryBlobs(self.layout.party(party)), ATTEMPT)

    def _side(self, party: int) -> DoubleParty:
        return DoubleParty(self.layout.double, self.terms, party)


def enrolled_arn(layout: Layout, party: int) -> str:
    """ARN of the key that the party's last enrolment names. SealingError when none does."""
    try:
        state = parse_desired_state(layout.desired_state(party).read_bytes())
    except (OSError, ApiError) as error:
        raise SealingError(f"can't read the enrolments of party {party}: {error}; put the file back") from None
    arns = [enrolment.key_arn for enrolment in state.enrolments if enrolment.party == party]
    if not arns or arns[-1] is None:
        raise SealingError(f"take the directory of a ceremony: in this one party {party} is enrolled without a key")
    return arns[-1]
