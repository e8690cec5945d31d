"""The working-day calendar and the clock of seven working days."""
