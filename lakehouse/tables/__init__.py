"""Tables: one module per stored table with its Arrow schema, key and the meaning of each column."""
