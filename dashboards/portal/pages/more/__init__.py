"""Every page of a site as a list: the phone has no rail."""
