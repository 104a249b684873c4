"""What the compiler's programs cost, against updaters that are written by hand."""
