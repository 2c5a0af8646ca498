"""What recognisers make of coded pictures, measured on annotated photos."""
