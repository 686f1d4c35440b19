"""What the control layer does, told to people: progress, transcript, measurements. Observes, changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg_node.ceremony.chain import RESUME, results
from dkg_node.ceremony.phases import last_batch

if TYPE_CHECKING:
    from dkg_node.ceremony.chain import Position
    from dkg_node.ceremony.control import Control
    from dkg_node.ceremony.run import Party, Work
    from dkg_node.ceremony.transcript import Fact


class Watcher:
    """One party's."""

    def __init__(self, work: Work, party: Party) -> None:
        """Nothing has happened yet."""
        self._work, self._party = work, party

    def observe(self, control: Control, event: str, position: Position) -> None:
        """See Ports.observe."""
        if event == "start":
            self._start(control, position)
        elif event == "certificate":
            self._certificate(control, position)
        elif event != "signed":
            lost = control.lost
            facts: dict[str, Fact] = {}
            if event == "quorum lost" and lost is not None:
                facts = {"why": str(lost), "missing": sorted(lost.culprits)}
            self._party.transcript.add(event, era=position.era, segment=position.segment, **facts)
            self._party.transcript.sync()

    def _start(self, control: Control, position: Position) -> None:
        party, index = self._party, position.segment
        name = "resume" if index == RESUME else self._work.segments[index].name
        silent = control.running is not None and control.running.silent
        party.transcript.add("segment", era=position.era, segment=index, name=name, silent=int(silent))
        party.measurements.begin(name)
        if index == RESUME:
            party.meter.phase(name)
        else:
            party.meter.enter(index)

    def _certificate(self, control: Control, position: Position) -> None:
        party, core = self._party, control.chain[-1].core
        party.measurements.end()
        made, final = len(results(control.chain)) - 1, last_batch(self._work.segments)
        if made == final or (made > final and not party.measurements.offline_ended):  # it may have jumped over the last
            party.measurements.end_offline()
        party.transcript.add(
            "segment end",
            era=position.era,
            segment=position.segment,
            digest=core.contents.hex(),
            certificate=core.digest().hex(),
            signed=sorted(control.chain[-1].signatures),
            absent=sorted(core.state.absent),
            corrupt=sorted(core.state.corrupt),
        )
        party.transcript.sync()
