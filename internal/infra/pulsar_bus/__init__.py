"""The bus over Apache Pulsar: `bus` is the way in, `publisher` and `admin` also serve alone."""
