"""Flow matching: training loss, conditioning, guidance and samplers."""
