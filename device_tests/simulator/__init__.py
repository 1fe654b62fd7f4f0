"""A publisher, its server and a network in memory, honest or not; and small models with an engine that runs them."""
