"""Users of the lab: an open-loop load generator, and the judge of what its clients saw.

`python -m lab.traffic generate` writes a log of every request; `python -m lab.traffic judge` compares it
with the database that survived.
"""
