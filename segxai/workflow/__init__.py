"""What the Snakefile needs while it is parsed: the standard library only."""
