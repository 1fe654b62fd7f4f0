"""The Python reference SDK: what ships to a device."""
