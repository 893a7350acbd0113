"""What a shop asks for, one surface a file."""
