// grpc-go as its guide shows it.
package main

import (
	"effect-kratos.dev/bench/announce"
	bench "effect-kratos.dev/bench/gen/bench/v1"
	helloworld "effect-kratos.dev/bench/gen/helloworld/v1"
	"effect-kratos.dev/bench/service"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

func main() {
	var options []grpc.ServerOption
	if certificate, key := announce.TLS(); certificate != "" {
		credentials, err := credentials.NewServerTLSFromFile(certificate, key)
		if err != nil {
			panic(err)
		}
		options = append(options, grpc.Creds(credentials))
	}
	server := grpc.NewServer(options...)
	helloworld.RegisterGreeterServer(server, service.Greeter{})
	bench.RegisterLoadServer(server, service.Load{})
	listener := announce.Listen()
	announce.Port(listener)
	if err := server.Serve(listener); err != nil {
		panic(err)
	}
}
