"""The files of docs/deploy and docs/monitoring with the programs that they are for."""
