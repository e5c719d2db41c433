"""Edits made by hand: places as people write them, start types by words, what makes an edit safe."""
