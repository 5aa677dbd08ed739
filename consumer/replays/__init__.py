"""Sending dead letters again: which, in what order with newer state, and what became of each."""
