"""`dkg-software reconstruct`: the secret key out of the sealed shares. It ends the secrecy of the key."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dkg_node.errors import ProtocolError, SealingError, UsageError
from dkg_node.service.command import DONE, NegativeVerdict

if TYPE_CHECKING:
    import argparse

    from dkg_api.terms import Terms
    from dkg_node_software.custody import Enclaves
    from dkg_node_software.layout import Layout


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `reconstruct`."""
    parser.add_argument("out", type=Path, metavar="OUT", help="directory of a finished local ceremony")
    parser.add_argument(
        "--client-key", type=Path, required=True, metavar="FILE", help="where the tfhe-rs ClientKey goes"
    )
    parser.add_argument("--without", default="", metavar="I,J", help="parties whose shares to leave out")


def run(options: argparse.Namespace) -> int:
    """Write the client key."""
    from dkg_node_software.layout import Layout  # noqa: PLC0415 - keeps --help quick

    target = options.client_key.absolute()
    if target.exists():
        raise UsageError(f"choose another --client-key: {target} exists")
    try:
        without = frozenset(int(part) for part in options.without.split(",") if part)
    except ValueError:
        raise UsageError(f"give --without as numbers with commas, not {options.without!r}") from None
    notices = asyncio.run(write_client_key(Layout(options.out.absolute()), target, without))
    sys.stdout.write("\n".join([*notices, f"the secret key is in {target}: whoever has it reads everything"]) + "\n")
    return DONE


async def write_client_key(layout: Layout, target: Path, without: frozenset[int] = frozenset()) -> tuple[str, ...]:
    """A stock tfhe-rs ClientKey from the sealed shares in ``layout``; returns the notices of the ceremony.

    SealingError when a share is damaged, NegativeVerdict when too few shares fit together.
    """
    from dkg_node.service.bridge import call_bridge  # noqa: PLC0415 - keeps --help quick
    from dkg_node_software.outputs import read_terms  # noqa: PLC0415 - the same

    terms = read_terms(layout)
    bits = _key_bits(layout, terms, without)
    with TemporaryDirectory(prefix=".dkg-key-", dir=target.parent) as directory:  # nobody else may look into it
        file, made = Path(directory) / "bits", Path(directory) / "client_key"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(bits)
        arguments = ("--parameter-set", terms.parameter_set, "--key-bits", str(file), "--out", str(made))
        await call_bridge("client-key", *arguments)
        _hand_over(made, target)
    return terms.notices


def _hand_over(made: Path, target: Path) -> None:
    """From the private directory to its place, readable for the owner only at every moment."""
    made.chmod(0o600)
    made.replace(target)


def _key_bits(layout: Layout, terms: Terms, without: frozenset[int]) -> bytes:
    """One byte a key bit: a degree-t opening of the shares, robust against t wrong ones."""
    from dkg_node.keygen.parameters import parameter_set  # noqa: PLC0415 - keeps --help quick
    from dkg_node.keygen.reconstruct import reconstruct  # noqa: PLC0415 - the same
    from dkg_node.protocols.session import Group  # noqa: PLC0415 - the same
    from dkg_node_software.custody import Enclaves  # noqa: PLC0415 - the same
    from dkg_node_software.double.running import running_double  # noqa: PLC0415 - the same

    group, enclaves = Group(terms.n, terms.threshold), Enclaves.of(layout, terms)
    with running_double(layout.double):
        shares = {party: _share(enclaves, party) for party in group.roles if party not in without}
    present = {party: share for party, share in shares.items() if share is not None}
    try:
        return reconstruct(group, parameter_set(terms.parameter_set), present)
    except ProtocolError as error:
        raise NegativeVerdict(str(error)) from None


def _share(enclaves: Enclaves, party: int) -> bytes | None:
    """A party's share, None where it left none. SealingError when it stays shut."""
    if not (enclaves.layout.party(party) / "share.sealed").exists():
        return None
    try:
        return enclaves.sealer(party, enclaves.service(party)).unseal_shares("share", 0).to_wire()
    except SealingError as error:
        raise SealingError(f"the share of party {party}: {error}; or leave it out, with --without") from None
