"""Text to vector: backbones, the encoder, the vector cache."""
