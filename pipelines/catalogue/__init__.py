"""What schemas/ and expectations/ say, loaded and checked once."""
