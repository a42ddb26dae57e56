"""How the tables of the store came to their form, one step a file in `versions`; run by `store.schema`."""
