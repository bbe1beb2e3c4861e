"""Layers, losses and measures for learning what autoencoders do, in Keras 3.

Nothing is imported here, so `import aecourse` is quick and chooses no backend. Import
the part you need: `from aecourse import objectives`.
"""

__version__ = "0.3.0"
