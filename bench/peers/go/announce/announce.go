// Package announce has what every subject does beside serving: say where it listens, answer for its memory, and leave with its parent.
package announce

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"runtime"
)

// Listen opens a free port of the loopback.
func Listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return listener
}

// Port prints the port as one line of JSON, then serves the lines of standard input until it closes, which ends the process.
func Port(listener net.Listener) {
	fmt.Printf("{\"port\":%d}\n", listener.Addr().(*net.TCPAddr).Port)
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			if lines.Text() != "heap" {
				continue
			}
			runtime.GC()
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			fmt.Printf("{\"heap\":%d}\n", stats.HeapAlloc)
		}
		os.Exit(0)
	}()
}

// TLS is the certificate and the key from the environment, empty for cleartext.
func TLS() (certificate, key string) {
	return os.Getenv("BENCH_TLS_CERT"), os.Getenv("BENCH_TLS_KEY")
}
