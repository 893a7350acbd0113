"""Tables in, validated; external ids to rows; histories as arrays."""
