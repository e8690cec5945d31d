"""A reference receiver: a real HTTP server that validates, assigns ids and stores what it accepted."""
