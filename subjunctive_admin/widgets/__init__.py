"""Forms for editors in a notebook; the only package that knows ipywidgets."""
