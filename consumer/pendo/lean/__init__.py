"""The lean transport: one POST of one event on a kept connection. It knows HTTP, and nothing of Pendo."""
