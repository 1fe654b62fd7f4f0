"""How models do on this device, what may be told of it, and to whom. Nothing here is imported to predict."""
