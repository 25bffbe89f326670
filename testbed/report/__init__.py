"""The verdict, shown: on the terminal, as JSON and JUnit, and as one HTML page with a picture."""
