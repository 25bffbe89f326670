"""Links between remailers: what one node says to another, and how."""
