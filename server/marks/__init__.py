"""What operators say of results on human views."""
