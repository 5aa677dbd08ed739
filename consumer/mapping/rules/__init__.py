"""Rules of a mapping file: what is filtered, left out, renamed or added before an event becomes Pendo's.

One kind of rule a file. Each is built once from plain values and gives a function from fields to fields, which returns
the very same object when it changes nothing and never changes one in place.
"""
