"""Item to text, personal data masked."""
