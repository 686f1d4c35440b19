"""The wire: mutual TLS streams of numbered, resumable frames."""
