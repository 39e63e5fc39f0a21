"""What every bench here shares: tools fetched, proxies and backends pinned to cores, load, and how results are written down."""
