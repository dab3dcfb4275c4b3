"""xjops: put a province's student registry into service and keep it healthy."""

__version__ = "0.1.0"
