"""Images and masks: from files to checked arrays."""
