"""Faults at every call a device makes of its disk and clock, and what must hold whatever fails."""
