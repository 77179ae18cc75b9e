"""Apache Pulsar as the bus: `bus` is the public module; `publisher` and `admin` also work alone."""
