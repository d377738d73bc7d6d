"""What is known of a face before any learning: symmetry, appearance, a reference, grain."""
