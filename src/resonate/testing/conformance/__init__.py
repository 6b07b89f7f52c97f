"""The contracts of the ports as a test suite that anybody can run on an adapter of theirs.

    pytest --pyargs resonate.testing.conformance --store mymod:make_store

`--codec mymod:make_codec` and `--clock mymod:make_clock` do the same for the other ports. What is not given is skipped.
"""
