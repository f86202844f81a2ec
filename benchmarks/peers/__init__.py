"""What onewarp is measured beside."""
