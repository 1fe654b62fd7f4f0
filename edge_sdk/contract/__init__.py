"""What everybody shares: the bytes and names of the protocol pages. Pure; NumPy and the standard library."""
