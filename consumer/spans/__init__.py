"""Spans: what became of an event as a tracing system shows it, for records that carry a sampled `traceparent`."""
