"""One call through the house: prepare, send, interpret, retry, settle. Written once as generators, run by two drivers."""
