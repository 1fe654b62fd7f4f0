"""Parity: the same cases on many devices, and a verdict that gates a release."""
