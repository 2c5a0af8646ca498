"""Files that take a while to make: clips and exports, one at a time and behind everything that is live."""
