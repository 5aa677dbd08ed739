"""The delivery engine: tickets, lanes, senders and gates. It knows neither Segment's words nor Kafka's client."""
