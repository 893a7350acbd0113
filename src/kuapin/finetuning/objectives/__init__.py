"""What fine-tuning optimises, one file each."""
