module tsmesh.dev/pause

go 1.21
