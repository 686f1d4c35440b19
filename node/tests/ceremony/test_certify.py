from __future__ import annotations

import asyncio

import pytest

from dkg_api.certificate import Certificate
from dkg_api.enrolment import Keyring
from dkg_api.signatures import public_bytes, verify
from dkg_node.ceremony.certify import Certifier
from dkg_node.errors import QuorumLost
from dkg_node.testing.stage import Stage, play

GRACE = 5.0
CONTENTS = Certificate(terms_digest="11" * 32, sid="22" * 32, era=0, digests={"keyset": "33" * 32})
OTHER = CONTENTS.model_copy(update={"digests": {"keyset": "44" * 32}})


def certifier(stage: Stage, role: int, keyring: Keyring | None = None) -> Certifier:
    box = stage.mailboxes[role]
    return Certifier(stage.group, role, stage.identity(role), keyring or stage.keyring(), box, box.network.now, GRACE)


@pytest.mark.parametrize("t", [1, 4])
def test_all_signatures_are_over_the_contents(t: int) -> None:
    async def scene(stage: Stage) -> tuple[list[Certificate], Stage]:
        made = await asyncio.gather(*(certifier(stage, r).certify(CONTENTS, 2000.0) for r in stage.group.roles))
        return list(made), stage

    made, stage = play(scene, t)
    for certificate in made:
        assert [signature.party for signature in certificate.signatures] == list(stage.group.roles)
        assert certificate.content() == CONTENTS.content()
        for one in certificate.signatures:
            key = public_bytes(stage.keys[one.party])
            assert one.key == key.hex()
            assert verify(key, "certificate", CONTENTS.content(), bytes.fromhex(one.signature))


def test_t_silent_parties_leave_a_certificate_without_them() -> None:
    async def scene(stage: Stage) -> list[list[int]]:
        made = await asyncio.gather(*(certifier(stage, r).certify(CONTENTS, 2000.0) for r in (1, 2, 4)))
        return [[one.party for one in certificate.signatures] for certificate in made]

    assert play(scene, 1, [3]) == [[1, 2, 4]] * 3


def test_signatures_over_other_contents_do_not_count_and_their_parties_are_named() -> None:
    async def scene(stage: Stage) -> None:
        liars = [asyncio.create_task(certifier(stage, r).certify(OTHER, 1001.0)) for r in (3, 4)]
        honest = [asyncio.create_task(certifier(stage, r).certify(CONTENTS, 1001.0)) for r in (1, 2)]
        await asyncio.gather(*liars, return_exceptions=True)
        await asyncio.gather(*honest)

    with pytest.raises(QuorumLost) as lost:
        play(scene)
    assert lost.value.culprits == {3, 4}


def test_who_has_not_signed_is_named_only_while_it_is_waited_for() -> None:
    async def scene(stage: Stage) -> list[list[int]]:
        asked, other = certifier(stage, 2), certifier(stage, 4)
        named = [asked.unsigned()]
        waiting = [asyncio.create_task(one.certify(CONTENTS, 2000.0)) for one in (asked, other)]
        while len(named[-1]) != 2:  # its own and the other's signature are there
            await asyncio.sleep(0)
            named.append(asked.unsigned())
        await asyncio.gather(certifier(stage, 1).certify(CONTENTS, 2000.0), *waiting)
        return [named[0], named[-1], asked.unsigned()]

    assert play(scene, 1, [3]) == [[], [1, 3], []]


def test_a_signature_that_comes_before_ones_own_content_is_known_is_kept() -> None:
    async def scene(stage: Stage) -> int:
        late = certifier(stage, 1)
        others = [asyncio.create_task(certifier(stage, r).certify(CONTENTS, 2000.0)) for r in (2, 3, 4)]
        await asyncio.sleep(1)
        certificate = await late.certify(CONTENTS, 2000.0)
        await asyncio.gather(*others)
        return len(certificate.signatures)

    assert play(scene) == 4


def test_a_peer_that_floods_with_wrong_signatures_is_not_listened_to_for_long() -> None:
    async def scene(stage: Stage) -> tuple[int, frozenset[int]]:
        mine = certifier(stage, 1)
        checked = 0
        for _ in range(1000):
            mine.take(2, bytes(64))
            checked += len(mine._heard)
            mine._valid(CONTENTS.content())
        mine.take(2, stage.identity(2).sign("certificate", CONTENTS.content()))
        mine.take(3, stage.identity(3).sign("certificate", CONTENTS.content()))
        return checked, frozenset(one.party for one in mine._valid(CONTENTS.content()))

    checked, signers = play(scene)
    assert checked < 20
    assert signers == {3}


def test_a_key_that_is_not_enrolled_signs_nothing() -> None:
    async def scene(stage: Stage) -> list[int]:
        keys = {role: keys for role, keys in stage.keyring().keys.items() if role != 4}
        mine = certifier(stage, 1, Keyring({**keys, 4: ()}))
        others = [asyncio.create_task(certifier(stage, r).certify(CONTENTS, 2000.0)) for r in (2, 3, 4)]
        certificate = await mine.certify(CONTENTS, 2000.0)
        await asyncio.gather(*others)
        return [one.party for one in certificate.signatures]

    assert play(scene) == [1, 2, 3]
