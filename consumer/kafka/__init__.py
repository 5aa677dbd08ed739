"""Kafka's side: reading, committing, dead letters. aiokafka's objects do not leave this folder."""
