"""Everything of NATS JetStream: how it is fetched, configured, administered, observed and used."""
