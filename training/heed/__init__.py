"""The PyTorch reference of heed's models: what the C engine must reproduce, and what is trained."""
