"""Frameworks: a module for each, which nothing else imports."""
