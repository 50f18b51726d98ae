"""Contact at rest: what stands keeps standing, what touches keeps touching, and nothing runs into anything else.

Scaling an entity about the photo's camera, its place and its size by one factor, moves no pixel of its silhouette. So
distances are changed along that freedom; see docs/lifting.md.
"""

from real2sam2real.lifting.contact.report import ContactReport, EntityContact, PairContact
from real2sam2real.lifting.contact.resolve import resolve_contacts
from real2sam2real.lifting.options import ContactOptions

__all__ = ["ContactOptions", "ContactReport", "EntityContact", "PairContact", "resolve_contacts"]
