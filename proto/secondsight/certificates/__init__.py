"""A small authority and its certificates, for trials and for sites that have no authority of their own."""
