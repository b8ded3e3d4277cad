// A member of a fleet made with Kratos. `node CONFIG` serves fleet.v1.Fleet over HTTP and gRPC, is registered, and prints {"http":N,"grpc":N}; SIGTERM stops
// it as Kratos stops. `client CONFIG` does jobs, one after the other, and prints a line for each. Both end with their standard input.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// Config is the second argument, in JSON.
type Config struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Version  string            `json:"version"`
	Metadata map[string]string `json:"metadata"`
	// Registered in place of the servers' own.
	Endpoints []string        `json:"endpoints"`
	Registry  *RegistryConfig `json:"registry"`
	Jobs      []Job           `json:"jobs"`
}

// RegistryConfig says where to be registered and where to look.
type RegistryConfig struct {
	// etcd, consul or zookeeper.
	Kind    string `json:"kind"`
	Address string `json:"address"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: node|client CONFIG")
		os.Exit(2)
	}
	var config Config
	if err := json.Unmarshal([]byte(os.Args[2]), &config); err != nil {
		fail(err)
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	quiet()
	var err error
	switch os.Args[1] {
	case "node":
		err = serve(config, ended)
	case "client":
		err = work(config, ended)
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func say(value any) {
	text, err := json.Marshal(value)
	if err != nil {
		fail(err)
	}
	fmt.Println(string(text))
}
