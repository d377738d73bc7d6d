"""Face completion that keeps the person: the package behind the course."""

__version__ = "0.1.0"
