"""What the report and the pages share: how they look, names from outside, the histogram, the colour scale."""
