"""Who may do what with a key: its policy, then grants; and whether the key is in a state to be used."""

from __future__ import annotations

from dataclasses import dataclass, field

from dkg_node_software.double.documents import Attested
from dkg_node_software.double.faults import Fault, denied
from dkg_node_software.double.keys import DISABLED, ENABLED, PENDING_DELETION, Grant, Key, named_key
from dkg_node_software.double.policy import Decision, PolicyError, Question, read_policy
from dkg_node_software.double.requests import Body, Caller


@dataclass(slots=True)
class KeyRequest:
    """A request about one key, its document checked."""

    key: Key
    body: Body
    caller: Caller
    context: dict[str, str]
    """The encryption context, of the source where there are two."""
    attested: Attested | None = field(default=None)


def authorise(request: KeyRequest, action: str, key: Key | None = None, context: dict[str, str] | None = None) -> None:
    """Policy, then grants; an explicit denial beats both, and a policy that is not understood allows nothing.

    ``key`` and ``context`` in place of the request's own, for requests about two keys. Fault when it is not allowed.
    """
    key = request.key if key is None else key
    used = request.context if context is None else context
    values = {f"kms:EncryptionContext:{name}": value for name, value in used.items()}
    values["kms:CallerAccount"] = request.caller.principal.account
    if request.attested is not None:
        values |= request.attested.condition_values()
    question = Question(request.caller.principal, f"kms:{action}", key.arn, values)
    try:
        decision = read_policy(key.policy).decide(question)
    except PolicyError:
        raise denied("the key's policy is not understood") from None
    if decision is Decision.SILENT and any(_grants(g, request.caller, action, used) for g in key.grants):
        return
    if decision is not Decision.ALLOWED:
        raise denied(f"{request.caller.principal.arn} is {decision.value} to do kms:{action}")


def expire(key: Key, now: int) -> None:
    """A key whose waiting time is over at ``now`` (ms) is gone: Fault."""
    if key.state == PENDING_DELETION and key.deletion is not None and now / 1000 >= key.deletion:
        raise Fault("NotFoundException", "there is no key of this name here")


def usable(key: Key) -> None:
    """Fault unless the key is switched on."""
    if key.state == DISABLED:
        raise Fault("DisabledException", "the key is disabled")
    if key.state != ENABLED:
        raise Fault("KMSInvalidStateException", "the key waits for its deletion")


def opened(request: KeyRequest) -> bytes:
    """Plaintext of the request's ciphertext. Fault unless ciphertext, context and key belong together."""
    usable(request.key)
    ciphertext = request.body.blob("CiphertextBlob")
    named = named_key(ciphertext)
    if named is not None and named != request.key.key_id.removeprefix("mrk-"):
        raise Fault("IncorrectKeyException", "another key made this ciphertext")
    plaintext = request.key.decrypt(ciphertext, request.context)
    if plaintext is None:
        raise Fault("InvalidCiphertextException", "ciphertext, encryption context and key do not belong together")
    return plaintext


def _grants(grant: Grant, caller: Caller, action: str, context: dict[str, str]) -> bool:
    """Whether a grant allows it."""
    exact = grant.constraints.get("EncryptionContextEquals")
    subset = grant.constraints.get("EncryptionContextSubset", {})
    return (
        grant.grantee == caller.principal.arn
        and action in grant.operations
        and (exact is None or exact == context)
        and subset.items() <= context.items()
    )
