"""Lock-step driver, adversaries and ideal functionalities; imported by tests only."""
