"""A named fake of the part of Cloudflare that landfall uses: its v4 API and its authoritative DNS.

Both answer from the same records. What it does not know it refuses by name; it guesses nothing.
Sources: Cloudflare's API reference (DNS records, zones, tokens, rate limits) and error answers published
in its users' issue trackers.
"""
