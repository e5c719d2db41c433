"""Documents people write or read: profiles and plans, their schemas and their loaders."""
