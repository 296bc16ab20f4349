"""How the tables of a store came to be, step by step, so that older ones can follow."""
