"""Chapter 08's measurements: where a completion breaks, for whom, and what another photograph is worth."""
