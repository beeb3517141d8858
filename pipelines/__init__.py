"""The front door: the commands. It knows competitions only by their contract."""
