"""What connectors of one shape share."""
