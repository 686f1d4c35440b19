"""Seeded faults on real processes: what `make chaos` runs (07, "Emulated networks")."""
