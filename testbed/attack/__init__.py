"""What an attacker makes of a web, measured: one attack a module, pure, and blind to the truth."""
