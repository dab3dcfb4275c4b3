"""One module of checks a domain; each check reads the context and yields results with evidence."""
