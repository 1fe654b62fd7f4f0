"""Our refresh path as the client that the public conformance suite of TUF drives."""
