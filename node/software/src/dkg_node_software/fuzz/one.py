"""One target under atheris, as a process of its own: ``python -m dkg_node_software.fuzz.one NAME CORPUS [options]``.

Options are libFuzzer's. Only our own packages are instrumented; the kernel runs, but its branches are not counted.
"""

from __future__ import annotations

import sys
from importlib import import_module

import atheris

OURS = ["dkg_api", "dkg_node", "dkg_node_software.measurements", "dkg_node_software.report"]


def main() -> None:
    """Run until libFuzzer's time is over; its exit code is not 0 after a finding."""
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=OURS):
        targets = import_module("dkg_node_software.fuzz.targets").TARGETS
    atheris.Setup([sys.argv[0], *options], targets[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
