"""Key files, signed envelopes, sealing and opening. Imports ``cryptography`` at use, for a quick start."""
