"""The language model learns the shop: an objective, a strategy, one training loop."""
