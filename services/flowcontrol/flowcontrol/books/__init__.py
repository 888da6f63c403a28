"""The running numbers of streams: books, meters that keep them, ledgers of them, and who is told of them."""
