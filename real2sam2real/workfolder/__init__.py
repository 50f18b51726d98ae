"""Work in a folder that survives kills: locks and claims, whole records, fingerprints, tries, and Ray's workers."""
