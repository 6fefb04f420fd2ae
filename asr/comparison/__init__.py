"""Which of several models is better: trained under equal conditions, with several seeds, and tested."""
