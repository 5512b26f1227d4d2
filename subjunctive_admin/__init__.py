"""Admin and analytics for a Spanish Subjunctive Practice application.

Importing the package loads nothing heavy: import the module you need.
"""

__version__ = "0.1.0"
