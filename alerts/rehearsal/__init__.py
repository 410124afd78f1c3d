"""The rehearsal behind ``pingshao demo``: a simulated shop, its worst day, and what its staff would see."""
