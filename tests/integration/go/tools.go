//go:build tools

// Programs that the tests run, pinned like the libraries.
package main

import _ "github.com/fullstorydev/grpcurl/cmd/grpcurl"
