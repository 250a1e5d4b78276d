"""Widgets as a person meets them: Chromium in front of JupyterLab and Voilà, without a network."""
