"""A party with changed code, for demonstration: a copy of the node that believes every enrolment.

KMS would give it no data key, so it seals under keys of its own making. Nothing else is forged: its software module
measures the code that runs, as every party's does, and the terms do not
list what it finds. Only the check that would stop it at its own start is left out (``SoftwareBuild``).
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from dkg_node.errors import UsageError

KIND = "modified-code"
CHANGES = {
    "service/attested.py": '''

def admitted(state: DesiredState, appraiser: TermsAppraiser) -> DesiredState:
    """Changed code: every enrolment counts, whatever its document says."""
    del appraiser
    return state
''',
    "sealing/kms.py": '''

def _own_key(self: KeyService, context: Context) -> DataKey:
    """Changed code: a data key that KMS never saw."""
    from dkg_node.algebra.kernel import Secret
    return DataKey(Secret.random(), bytes(16))


KeyService.new_key = _own_key
''',
}


def modified_copy(home: Path) -> Path:
    """Make the copy in the party's directory; what to put in front of its module path."""
    spec = find_spec("dkg_node")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError("install dkg-node first: there is nothing to change")
    place = home / "modified-code"
    shutil.rmtree(place, ignore_errors=True)
    source = Path(next(iter(spec.submodule_search_locations)))
    shutil.copytree(source, place / "dkg_node", ignore=shutil.ignore_patterns("__pycache__", "testing"))
    for name, change in CHANGES.items():
        with (place / "dkg_node" / name).open("a", encoding="utf-8") as file:
            file.write(change)
    return place
