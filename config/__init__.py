"""The contract: plain data that every process agrees on. Imports nothing else of ours."""
