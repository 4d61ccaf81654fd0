"""One module per guarantee; reads histories only."""
