"""Preprocessing: chunks of random bits, noise and products, checked before use."""
