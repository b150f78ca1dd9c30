"""Wake words: rendered and recorded voices in, a streaming network out. See README.md."""
