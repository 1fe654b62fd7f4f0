"""From a trained source to signed bundles: zoo, sources, targets, gates, seal, release."""
