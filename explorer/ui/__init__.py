"""The dashboard: a campaign in, pixels out. Views read the store and send it commands."""
