"""Fuzzing of every decoder of bytes that come from peers or from the host: see node/docs/decoders.md."""
