"""How transforms become one: in turn, there and back, as JSON and as pictures."""
