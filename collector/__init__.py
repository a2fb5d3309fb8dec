"""The Falcon application: beacons in, records out. It stores first and understands little."""
