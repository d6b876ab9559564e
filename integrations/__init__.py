"""What libaccount does in each training framework; one folder each, loaded when the job uses it.

Each has ``attach(object, run)`` for one object and ``watch(module)``, called when the framework was
imported, which attaches every such object that the job makes from then on.
"""
