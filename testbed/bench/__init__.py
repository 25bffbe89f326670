"""`make bench`: what the web costs, as ratios to what one would use instead, measured in turn."""
