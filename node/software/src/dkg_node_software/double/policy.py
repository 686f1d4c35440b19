"""Key policies as KMS evaluates them, as far as we use them; whatever is beyond that is refused, never passed over.

A policy is read as a whole before it is asked anything: an element, operator, condition key or principal that this
evaluator does not know makes every answer of the policy a refusal. An explicit denial beats every allowance.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from dkg_api.canonical import CanonicalError, parse

VERSION: Final = "2012-10-17"
ELEMENTS: Final = frozenset({"Sid", "Effect", "Principal", "Action", "Resource", "Condition"})
TOP: Final = frozenset({"Version", "Id", "Statement"})
KEYS: Final = re.compile(
    r"kms:recipientattestation:(pcr([0-9]|[12][0-9]|3[01])|imagesha384)|kms:encryptioncontext:.+|kms:calleraccount"
)
"""Condition keys, which AWS compares without regard to case."""
ARN: Final = re.compile(r"arn:(aws|aws-cn|aws-us-gov):iam::(?P<account>[0-9]{12}):(root|(role|user)/[\w+=,.@/-]+)")
ACTION: Final = re.compile(r"kms:[A-Za-z*?]+|\*")


class PolicyError(ValueError):
    """A policy that this evaluator does not understand, and so never follows."""


class Decision(Enum):
    """What a policy says."""

    ALLOWED = "allowed"
    DENIED = "explicitly denied"
    SILENT = "not allowed"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    arn: str
    """Of the role or user."""
    account: str
    administrator: bool = False
    """IAM gives it everything in its account, wherever a key policy leaves the decision to the account."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request, as conditions see it."""

    principal: Principal
    action: str
    """Such as kms:Decrypt."""
    key_arn: str
    values: Mapping[str, str] = field(default_factory=dict)
    """By condition key; what is not there is absent."""


Test = Callable[[tuple[str, ...], str | None], bool]
"""The policy's values, the request's value or None -> whether the condition holds."""


@dataclass(frozen=True, slots=True)
class _Condition:
    test: Test
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Statement:
    effect: str
    principals: tuple[str, ...]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[_Condition, ...]

    def applies(self, question: Question) -> bool:
        return (
            any(_is(principal, question.principal, self.effect) for principal in self.principals)
            and any(_like(action, question.action, re.IGNORECASE) for action in self.actions)
            and any(_like(resource, question.key_arn) for resource in self.resources)
            and all(c.test(c.values, question.values.get(c.key)) for c in self.conditions)
        )


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """A policy that was understood."""

    statements: tuple[_Statement, ...]

    def decide(self, question: Question) -> Decision:
        """The answer. Context keys that differ in case only are refused: AWS would take them for one."""
        folded = {name.casefold(): value for name, value in question.values.items()}
        if len(folded) != len(question.values):
            return Decision.DENIED
        asked = Question(question.principal, question.action, question.key_arn, folded)
        effects = {statement.effect for statement in self.statements if statement.applies(asked)}
        if "Deny" in effects:
            return Decision.DENIED
        return Decision.ALLOWED if "Allow" in effects else Decision.SILENT


def read_policy(text: str) -> KeyPolicy:
    """A policy from its JSON text. PolicyError for anything that is not understood to the last element."""
    try:
        policy = parse(text, "policy")
    except CanonicalError as error:
        raise PolicyError(str(error)) from None
    _known(policy, TOP, "policy")
    if not isinstance(policy, dict) or policy.get("Version") != VERSION:
        raise PolicyError(f"use Version {VERSION}")
    statements = policy.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise PolicyError("give at least one statement")
    return KeyPolicy(tuple(_read_statement(statement) for statement in statements))


def _known(value: object, names: frozenset[str], what: str) -> None:
    if not isinstance(value, dict) or not value.keys() <= names:
        raise PolicyError(f"use only {', '.join(sorted(names))} in a {what}")


def _read_statement(statement: object) -> _Statement:
    _known(statement, ELEMENTS, "statement")
    if not isinstance(statement, dict) or statement.get("Effect") not in {"Allow", "Deny"}:
        raise PolicyError("give Effect as Allow or Deny")
    actions, resources = _texts(statement.get("Action")), _texts(statement.get("Resource"))
    if not all(ACTION.fullmatch(action) for action in actions):
        raise PolicyError("give actions of KMS")
    if not all(resource == "*" or resource.startswith("arn:") for resource in resources):
        raise PolicyError("give resources as * or an ARN")
    principals = _read_principals(statement.get("Principal"))
    conditions = _read_conditions(statement.get("Condition", {}))
    return _Statement(statement["Effect"], principals, actions, resources, conditions)


def _texts(value: object) -> tuple[str, ...]:
    """One text or a list of them, none empty."""
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(item, str) and item for item in values):
        raise PolicyError("give a text or a list of texts")
    return tuple(values)


def _read_principals(value: object) -> tuple[str, ...]:
    if value == "*":
        return ("*",)
    if not isinstance(value, dict) or value.keys() != {"AWS"}:
        raise PolicyError('give Principal as "*" or {"AWS": ...}')
    principals = _texts(value["AWS"])
    if not all(principal == "*" or ARN.fullmatch(principal) for principal in principals):
        raise PolicyError("give principals as ARNs of roles, users or an account's root")
    return principals


def _is(principal: str, asking: Principal, effect: str) -> bool:
    """Root is the account: where it is allowed IAM decides, here for administrators; where denied, nobody of it may."""
    if principal in {"*", asking.arn}:
        return True
    found = ARN.fullmatch(principal)
    if found is None or not principal.endswith(":root") or found["account"] != asking.account:
        return False
    return effect == "Deny" or asking.administrator


def _read_conditions(value: object) -> tuple[_Condition, ...]:
    if not isinstance(value, dict):
        raise PolicyError("give Condition as an object")
    found = []
    for operator, keys in value.items():
        if operator not in OPERATORS or not isinstance(keys, dict) or not keys:
            raise PolicyError(f"use one of {', '.join(sorted(OPERATORS))}")
        for key, wanted in keys.items():
            folded = key.casefold()
            if not KEYS.fullmatch(folded):
                raise PolicyError("use condition keys of attestation, encryption context and caller account")
            values = _texts(wanted)
            if operator == "Null" and not set(values) <= {"true", "false"}:
                raise PolicyError("give Null as true or false")
            found.append(_Condition(OPERATORS[operator], folded, values))
    return tuple(found)


def _like(pattern: str, value: str, flags: re.RegexFlag = re.NOFLAG) -> bool:
    """Wildcards: * any run, ? any one character; nothing else is special."""
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), value, flags | re.DOTALL) is not None


def _equals(wanted: tuple[str, ...], value: str | None) -> bool:
    return value is not None and value in wanted


def _equals_folded(wanted: tuple[str, ...], value: str | None) -> bool:
    return value is not None and value.casefold() in {text.casefold() for text in wanted}


def _matches(wanted: tuple[str, ...], value: str | None) -> bool:
    return value is not None and any(_like(text, value) for text in wanted)


def _absent(wanted: tuple[str, ...], value: str | None) -> bool:
    return any((text == "true") == (value is None) for text in wanted)


def _not(test: Test) -> Test:
    """As AWS has it: a negated operator also holds for an absent key."""
    return lambda wanted, value: not test(wanted, value)


def _if_exists(test: Test) -> Test:
    return lambda wanted, value: value is None or test(wanted, value)


_POSITIVE: Final[Mapping[str, Test]] = {
    "StringEquals": _equals,
    "StringEqualsIgnoreCase": _equals_folded,
    "StringLike": _matches,
}
_NEGATIVE: Final[Mapping[str, Test]] = {
    "StringNotEquals": _not(_equals),
    "StringNotEqualsIgnoreCase": _not(_equals_folded),
    "StringNotLike": _not(_matches),
}
OPERATORS: Final[Mapping[str, Test]] = {
    **_POSITIVE,
    **_NEGATIVE,
    **{f"{name}IfExists": _if_exists(test) for name, test in {**_POSITIVE, **_NEGATIVE}.items()},
    "Null": _absent,
}
