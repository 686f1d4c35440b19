"""Rings, polynomials and vectors: the arithmetic below every protocol step."""
