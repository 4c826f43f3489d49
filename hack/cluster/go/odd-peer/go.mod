module tsmesh.dev/odd-peer

go 1.22
