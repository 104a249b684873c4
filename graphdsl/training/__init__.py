"""A run: the Trainer on a graph's own data, what it shows, what it saves, and how it ends."""
