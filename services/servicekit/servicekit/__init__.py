"""What the stock server and the stock client share; knows nothing of stocks nor of flow control."""
