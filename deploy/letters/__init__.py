"""Dead letters as people deal with them: what they are, what became of them, and how they go back onto the log."""
