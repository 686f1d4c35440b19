"""Everything that runs a ceremony without enclaves; proves nothing to anybody."""
