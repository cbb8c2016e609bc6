"""The parts list: the only room that builds everything. Every worker builds its own."""
