"""Networks: what they are fed, how they are built, trained and saved."""
