"""Everything of Kafka: how it is fetched, configured, administered, observed and used."""
