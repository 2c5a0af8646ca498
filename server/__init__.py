"""The server: takes in machine layers, recognises what they show, and makes human views on request."""
