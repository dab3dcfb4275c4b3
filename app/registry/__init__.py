"""The student registry application."""
