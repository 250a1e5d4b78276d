"""Write products into the tables: plan, align, compare with stored data, copy."""
