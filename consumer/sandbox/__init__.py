"""The parts on one machine: broker, simulated Pendo, Segment traffic; the service never imports them."""
