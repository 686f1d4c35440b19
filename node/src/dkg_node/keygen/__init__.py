"""The online phase: every TFHE key of a parameter set from shared randomness."""
