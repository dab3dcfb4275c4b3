"""One result for everything that looks: the probe, the engine, one module of checks a domain."""
