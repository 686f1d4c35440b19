"""Shamir sharings over the Galois ring, packing and pseudo-random sharings."""
