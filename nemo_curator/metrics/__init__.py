"""A Prometheus that reads the metrics of Ray clusters which this package starts."""
