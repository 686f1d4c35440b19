"""One run from terms to certificate, seen through ports."""
