"""The dashboard and the examples of the API description in Chromium."""
