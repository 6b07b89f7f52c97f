"""Resonate servers over HTTP: a POST for each request, server-sent events for the messages."""

from resonate.adapters.http.backend import HttpBackend

__all__ = ["HttpBackend"]
