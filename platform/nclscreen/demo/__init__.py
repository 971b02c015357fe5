"""A corpus to try the program on: real photographs, some tampered with, and what is true about each of them."""

from nclscreen.demo.corpus import DemoCorpus, DemoImage, build_demo_corpus
from nclscreen.demo.tally import DemoTally, tally

__all__ = ["DemoCorpus", "DemoImage", "DemoTally", "build_demo_corpus", "tally"]
