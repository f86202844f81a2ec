"""How a figure is made and kept: photos, maps, rounds, the page cache; results, their checks and pictures."""
