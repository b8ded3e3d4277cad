// Kratos v3 as its guide shows it: its gRPC server, with `http` its HTTP server, with `aspects` recovery and logging, whose level is off, with `guarded`
// recovery, logging, whose lines are written and thrown away, and its adaptive limiter.
package main

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"os"
	"slices"

	"effect-kratos.dev/bench/announce"
	bench "effect-kratos.dev/bench/gen/bench/v1"
	helloworld "effect-kratos.dev/bench/gen/helloworld/v1"
	"effect-kratos.dev/bench/service"
	"github.com/go-kratos/kratos/v3"
	"github.com/go-kratos/kratos/v3/middleware"
	"github.com/go-kratos/kratos/v3/middleware/logging"
	"github.com/go-kratos/kratos/v3/middleware/ratelimit"
	"github.com/go-kratos/kratos/v3/middleware/recovery"
	"github.com/go-kratos/kratos/v3/transport"
	"github.com/go-kratos/kratos/v3/transport/grpc"
	"github.com/go-kratos/kratos/v3/transport/http"
)

func main() {
	quiet := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError}))
	var stack []middleware.Middleware
	if slices.Contains(os.Args, "aspects") {
		stack = append(stack, recovery.Recovery(), logging.Server(quiet))
	}
	if slices.Contains(os.Args, "guarded") {
		written := slog.New(slog.NewJSONHandler(io.Discard, nil))
		stack = append(stack, recovery.Recovery(), logging.Server(written), ratelimit.Server())
	}
	listener := announce.Listen()
	var server transport.Server
	if slices.Contains(os.Args, "http") {
		rest := http.NewServer(http.Listener(listener), http.Middleware(stack...))
		rest.Route("/").GET("/helloworld/{name}", sayHello)
		server = rest
	} else {
		options := []grpc.ServerOption{grpc.Listener(listener), grpc.Middleware(stack...)}
		if certificate, key := announce.TLS(); certificate != "" {
			pair, err := tls.LoadX509KeyPair(certificate, key)
			if err != nil {
				panic(err)
			}
			options = append(options, grpc.TLSConfig(&tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"}}))
		}
		both := grpc.NewServer(options...)
		helloworld.RegisterGreeterServer(both, service.Greeter{})
		bench.RegisterLoadServer(both, service.Load{})
		server = both
	}
	announce.Port(listener)
	if err := kratos.New(kratos.Name("bench"), kratos.Logger(quiet), kratos.Server(server)).Run(); err != nil {
		panic(err)
	}
}

// sayHello is what protoc-gen-go-http makes of `get: "/helloworld/{name}"`.
func sayHello(ctx http.Context) error {
	var request helloworld.HelloRequest
	if err := ctx.BindQuery(&request); err != nil {
		return err
	}
	if err := ctx.BindVars(&request); err != nil {
		return err
	}
	http.SetOperation(ctx, helloworld.Greeter_SayHello_FullMethodName)
	handler := ctx.Middleware(func(ctx context.Context, request any) (any, error) {
		return service.Greeter{}.SayHello(ctx, request.(*helloworld.HelloRequest))
	})
	reply, err := handler(ctx, &request)
	if err != nil {
		return err
	}
	return ctx.Result(200, reply)
}
