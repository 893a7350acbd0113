"""The jobs: train, evaluate, publish."""
