"""The vocabulary of the house: types, events, errors, codecs. Imports nothing of ours and touches no socket or clock."""
