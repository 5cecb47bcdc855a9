"""Downloads of originals: fetched, checked and unpacked."""
