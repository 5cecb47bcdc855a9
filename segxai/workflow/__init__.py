"""Planning: what the Snakefile imports while it is parsed (standard library only)."""
