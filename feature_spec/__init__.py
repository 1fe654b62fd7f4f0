"""What a feature is: definitions, events, and one evaluator for each place it runs."""
