"""The use cases: what every face (commands, HTTP, pages) can ask for. Plain requests in, plain results out.

Nothing here prints, reads a terminal, or knows how a face spells a field.
"""
