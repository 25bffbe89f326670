"""A minimal Type I remailer that keeps no logs: listener → spool → peel → pool → link or exit."""
