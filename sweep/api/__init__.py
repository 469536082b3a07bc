"""What `import sweep` offers. It shows everything through a `View` that the caller gives it."""
