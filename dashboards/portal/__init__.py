"""The portal: pages for the people who answer for energy, on FastAPI and NiceGUI."""
