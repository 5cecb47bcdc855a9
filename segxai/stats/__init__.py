"""Statistics of scores over images: means, intervals, tests and tables."""
