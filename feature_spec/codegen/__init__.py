"""Source code for apps, generated from a feature spec: the day input, the definitions and an evaluator.

``plan`` fixes what is generated, one module per language how it is written, ``runtime/`` holds what does not depend on
the spec as source files of their languages.
"""
