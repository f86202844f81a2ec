"""Floor 3: a thin Learner, and plugs for other trainers."""
