"""Every protocol to and from one neutral form: a room for each protocol, and none knows another."""
