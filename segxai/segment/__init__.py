"""From relevance maps and images to masks."""
