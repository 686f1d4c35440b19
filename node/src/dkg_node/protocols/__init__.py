"""Sub-protocols: session, broadcast, openings, coin; no clock, no wire, no entropy."""
