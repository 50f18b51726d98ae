"""What the generator needs of a machine, and how it is made to fit: plans, quantisation, offloading."""
