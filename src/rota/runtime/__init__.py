"""The world, handed in: clock, entropy, signals, services. Only this package reads time or draws chance."""
