"""Which model versions there are to work with, as the database knows them."""
