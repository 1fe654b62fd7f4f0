"""The goal-success ensemble: members, fitting, evaluation, rules."""
