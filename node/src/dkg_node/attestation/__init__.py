"""Attestation (design 03): who is an enclave with approved code. The verifier is pure; attesters speak to an NSM."""
