"""Parameter sets that exist for tests only: every shape of ``production``, at sizes a test can afford."""

from __future__ import annotations

from dkg_node.keygen.parameters import Decomposition, Noisy, Packing, ParameterSet, Shape, Squashing

SHRUNK = ParameterSet(
    name="shrunk",
    insecure=True,
    encryption=Noisy(Shape(1, 64), 17),
    lwe=Noisy(Shape(37, 1), 45),
    glwe=Noisy(Shape(1, 64), 17),
    bsk=Decomposition(23, 1),
    ksk=Decomposition(4, 4),
    pksk=Decomposition(4, 4),
    zeros=5,
    compression=Packing(Noisy(Shape(4, 16), 43), Decomposition(4, 3), Decomposition(23, 1)),
    sns=Squashing(Noisy(Shape(2, 2048), 30), Decomposition(24, 3), zeros=3),
    sns_compression=Packing(Noisy(Shape(6, 8), 3), Decomposition(41, 2)),
    oprf=True,
)
"""``production`` with short dimensions but all its k, levels and widths: rows and columns of several product tiles."""

TOY = ParameterSet(
    name="toy",
    insecure=True,
    encryption=Noisy(Shape(1, 16), 3),
    lwe=Noisy(Shape(6, 1), 5),
    glwe=Noisy(Shape(2, 8), 4),
    bsk=Decomposition(20, 2),
    ksk=Decomposition(6, 2),
    pksk=Decomposition(6, 2),
    zeros=3,
    compression=Packing(Noisy(Shape(3, 8), 2), Decomposition(9, 2), Decomposition(22, 1)),
    sns=Squashing(Noisy(Shape(2, 8), 7), Decomposition(24, 3), zeros=1),
    sns_compression=Packing(Noisy(Shape(2, 8), 3), Decomposition(41, 2)),
    oprf=True,
)
"""Small enough for every attack at 13/4."""
