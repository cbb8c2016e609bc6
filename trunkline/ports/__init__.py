"""One Protocol per store, grouped by noun. Pure: storage fulfils them, the pipeline receives them."""
