"""The roof over the rooms: the ``edge`` command, the demo and the benchmarks."""
