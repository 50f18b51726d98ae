"""From photo and masks to closed meshes that stand where the photo shows them."""
