"""Controls of the explorers: filters, flags, processing steps, the search box."""
