"""One function, `warp`, on three back ends."""
