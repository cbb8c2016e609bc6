"""Commands. The topmost floor: parses arguments, prints answers, sets exit codes."""
