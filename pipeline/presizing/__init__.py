"""How a cache is made: what is to be done, who does it, and how it goes on after a stop."""
