"""Everything of RocketMQ: how it is fetched, configured, administered, observed and used."""
