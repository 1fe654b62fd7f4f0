"""Figures that the project publishes, each measured beside its control in the same run."""
