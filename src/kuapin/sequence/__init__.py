"""History of item vectors → user vector: a model that carries what a person showed into what opens next."""
