"""Runs the code of the documents."""
