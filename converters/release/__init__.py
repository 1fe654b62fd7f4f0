"""Offline keys, and the offline signing of what devices may install. It never talks to a server."""
