"""Small services that stand for those that landfall moves, each behaving as the documents say."""
