"""One party of a robust distributed TFHE key generation."""
