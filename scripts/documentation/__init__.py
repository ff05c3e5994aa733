"""What `scripts/docs.py` writes with: the table of conventions, the parts of a page that are filled in, pictures."""
