"""The command line, one verb a file: parse, one call, print."""
