"""What a ceremony keeps of its fault events: vows, evidence in the transcript, names in the key certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg_api.certificate import Fault as Named
from dkg_node.ceremony.chain import RESUME
from dkg_node.errors import ProtocolError
from dkg_node.offline.fault import Vows
from dkg_node.offline.record import encode_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg_node.ceremony.chain import Chain
    from dkg_node.ceremony.phases import Segment
    from dkg_node.ceremony.transcript import Transcript
    from dkg_node.offline.evidence import Fault

CORRUPT = "corrupt"
"""Kind of a certified fault: why is in the records of the transcripts, which may differ in unimportant bytes."""


class Docket(Vows):
    """One party's Guard: it refuses certificates against its vows and writes every verdict into the transcript."""

    def __init__(self, transcript: Transcript) -> None:
        """No vow yet."""
        super().__init__()
        self._transcript = transcript

    def witness(self, batch: int, fault: Fault) -> None:
        """One entry with the whole record: it convinces a stranger even if the batch never ends (`verify --faults`)."""
        kinds: dict[str, str] = {}
        for one in fault.convictions:
            known = kinds.get(str(one.party))
            kinds[str(one.party)] = one.kind if known is None else f"{known}, {one.kind}"
        never_king = sorted(fault.never_king)
        record = encode_fault(fault).hex()
        self._transcript.add("fault", batch=batch, convicted=kinds, never_king=never_king, record=record)
        self._transcript.sync()

    def check(self, era: int, batch: int, generation: int) -> None:
        """ProtocolError for contents that a `fault` signature of this party rules out: nothing may be signed then."""
        if not self.may_sign(era, batch, generation):
            raise ProtocolError(f"batch {batch}: refuse generation {generation}: its keys may be revealed; end the era")


def before_online(chain: Chain, segments: Sequence[Segment]) -> Chain:
    """The certificates before the first public key's.

    All parties that finish have these alike: n-t ``ready`` for online mean t+1 honest parties sealed this chain, and
    every later resume hears one of them. What follows may be certified again in another era, with equal results.
    """
    first = next(segment.index for segment in segments if segment.kind == "online")
    numbers = [certificate.position.segment for certificate in chain]
    return chain[: numbers.index(first)] if first in numbers else chain


def certified_faults(chain: Chain, segments: Sequence[Segment]) -> tuple[Named, ...]:
    """Who is Corrupt in the certified public state, and the segment whose certificate first says so.

    A function of the certificates in force alone: the same at all honest parties, which all sign it.
    """
    found: dict[int, str] = {}
    for certificate in chain:
        number = certificate.position.segment
        name = "resume" if number == RESUME else segments[number].name
        for party in certificate.core.state.corrupt:
            found.setdefault(party, name)
    return tuple(Named(party=party, kind=CORRUPT, phase=name) for party, name in sorted(found.items()))
