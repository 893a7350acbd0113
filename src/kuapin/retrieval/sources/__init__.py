"""One source of candidates a file; all follow ``kuapin.retrieval.source.Source``."""
