"""What `import sweep` offers. It prints nothing: whoever calls it gives it a `View`, or none."""
