"""What the generator needs of a machine, measured, and how it is made to fit: plans, quantisation, offloading."""
