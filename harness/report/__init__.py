"""Reports: terminal, HTML, JUnit, JSON. Consumes results and progress events only."""
