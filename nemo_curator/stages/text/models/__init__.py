"""Models that stages ask about texts: what they have in common, and one module for each library that runs them."""
