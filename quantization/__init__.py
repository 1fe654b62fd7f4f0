"""Recipes that make a model smaller, and the measures of what that costs."""
