"""The path of one call. It receives ports and never imports storage."""
