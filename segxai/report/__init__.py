"""From scores to what a reader sees: tables, claims, figures, the page."""
