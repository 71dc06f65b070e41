"""What every client of Kafka here has in common: how it connects, what it can read, how it stops, how far it lags."""
