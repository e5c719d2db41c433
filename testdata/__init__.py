"""Recipes of sample machines and the kit that builds them."""
