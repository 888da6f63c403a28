"""The services as processes on loopback, and what is read off them."""
