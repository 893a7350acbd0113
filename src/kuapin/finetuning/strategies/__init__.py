"""Which parameters fine-tuning may change, one file each."""
