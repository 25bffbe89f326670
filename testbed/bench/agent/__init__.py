"""What runs inside the bench's containers: whoever feeds, sinks, seals, peels and looks."""
