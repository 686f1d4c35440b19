"""Live progress of all parties: a table that redraws itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING

from dkg_node.service.report_tool import si

if TYPE_CHECKING:
    from dkg_api.status import StatusContent

HEAD = f"{'party':>5}  {'phase':<34} {'done':>4}  {'bits/s':>9}  {'sent':>9}  {'ETA':>6}"
REDRAW = 0.2
PLAIN = 5.0


class Display:
    """Shows the newest item of every party."""

    def __init__(self, parties: int) -> None:
        """Table on a terminal, lines otherwise."""
        self._rows: dict[int, str] = dict.fromkeys(range(1, parties + 1), "starting")
        self._table = sys.stdout.isatty()
        self._drawn = 0
        self._last = 0.0
        self._shown: dict[int, tuple[str, float]] = {}

    def say(self, line: str) -> None:
        """A line above the table."""
        self._wipe()
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    def update(self, party: int, item: StatusContent) -> None:
        """A party's newest status."""
        self._rows[party] = row_of(item)
        now = time.monotonic()
        if self._table:
            if now - self._last >= REDRAW:
                self._draw()
                self._last = now
            return
        phase, at = self._shown.get(party, ("", 0.0))
        if item.phase != phase or now - at >= PLAIN:
            self._shown[party] = (item.phase, now)
            sys.stdout.write(f"party {party:>2}: {self._rows[party]}\n")
            sys.stdout.flush()

    def gone(self, party: int, words: str) -> None:
        """A party stopped."""
        self._rows[party] = f"stopped: {words}"[:110]
        self.say(f"party {party:>2}: stopped: {words}")

    def close(self) -> None:
        """The last state stays on the screen."""
        if self._table:
            self._draw()
            self._drawn = 0

    def _draw(self) -> None:
        self._wipe()
        width = shutil.get_terminal_size().columns - 1  # a line that wraps would be redrawn in the wrong place
        lines = [line[:width] for line in (HEAD, *(f"{party:>5}  {row}" for party, row in self._rows.items()))]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        self._drawn = len(lines)

    def _wipe(self) -> None:
        if self._drawn:
            sys.stdout.write(f"\x1b[{self._drawn}F\x1b[0J")
            self._drawn = 0


def row_of(item: StatusContent) -> str:
    """Phase, percent, bits a second, bytes sent, time left."""
    eta = "-" if item.eta_seconds is None else duration(item.eta_seconds)
    return (
        f"{item.phase:<34} {item.percent:>3}%  {si(item.bits_per_second):>9}  {si(item.sent_bytes) + 'B':>9}  {eta:>6}"
    )


def duration(seconds: int) -> str:
    """h:mm:ss or m:ss."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
