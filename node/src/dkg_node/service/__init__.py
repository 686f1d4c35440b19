"""The processes and commands; the only place where adapters are joined."""
