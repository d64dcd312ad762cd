"""Explorer: any series over any period, compared, as heat map, scatter or duration."""
