"""Connections to other machines that more than one step needs."""
