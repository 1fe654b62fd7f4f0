"""How models do on this device, what may be told of it, and to whom; who only predicts imports very little of it."""
