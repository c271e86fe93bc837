"""Own footage: from a folder of videos and pictures to a dataset of clips in webdataset shards."""
