"""What both the node and the operator agree on: terms, reports, certificates, wire messages."""
