"""What leaves a study: a bundle for reviewers and archives."""
