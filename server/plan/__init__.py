"""How much memory, uplink, disk and how many connections a number of cameras takes."""
