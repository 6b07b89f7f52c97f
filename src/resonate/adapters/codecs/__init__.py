"""Codecs: Python values to protocol values and back."""
