"""What benchmarks share: nodes that they start and stop, parts with figures at several sizes, tables, JSON and pictures."""
