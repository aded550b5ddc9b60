"""Tables that the answer file refers to."""
