"""Makes the sample feeds: the city, its decisions, the defects planted in them and the files."""
